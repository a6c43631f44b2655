"""The published JSON Schema of declared workflows: ``docs/schemas/workflow.schema.json``.

Printed by ``python -m holdfast.workflows.schema``.
"""

import sys
from typing import Any

import msgspec

from holdfast.durable.documents import encode
from holdfast.workflows.declarations import WorkflowDocument


def workflow_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12), made from the types the file is read with."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Holdfast workflow",
        **msgspec.json.schema(WorkflowDocument),
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(workflow_schema()))
