"""The published JSON Schema of the settings: ``docs/schemas/holdfast.schema.json``.

Printed by ``python -m holdfast.workspace.schema``.
"""

import inspect
import sys
from typing import Any

import msgspec

from holdfast.durable.documents import encode
from holdfast.workspace.settings import SettingsDocument


def settings_schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12), made from the types the files are read with.

    Any key may be left out: the other layers have it.
    """
    schema = msgspec.json.schema(SettingsDocument)
    for definition in schema["$defs"].values():
        definition.pop("required", None)
        if "description" in definition:  # Python 3.13 indents docstrings otherwise than 3.12
            definition["description"] = inspect.cleandoc(definition["description"])
        if "properties" in definition:
            definition["properties"]["$comment"] = {"type": "string"}
            definition["additionalProperties"] = False
    schema["$defs"]["SettingsDocument"]["properties"]["$schema"] = {"type": "string"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Holdfast settings",
        **schema,
    }


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(settings_schema()))
