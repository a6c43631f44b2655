"""The published JSON Schema of accepted findings: ``docs/schemas/secrets-baseline.schema.json``.

Printed by ``python -m holdfast.guard.secrets.schema``.
"""

import sys
from typing import Any

import msgspec

from holdfast.durable.documents import encode
from holdfast.guard.secrets.baseline import BaselineDocument


def baseline_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12), made from the types the file is read with."""
    schema = msgspec.json.schema(BaselineDocument)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Holdfast's accepted secrets",
        **schema,
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(baseline_schema()))
