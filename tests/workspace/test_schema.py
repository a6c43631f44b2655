from pathlib import Path

import jsonschema
import pytest

from holdfast.durable.documents import encode
from holdfast.workspace.schema import settings_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas" / "holdfast.schema.json"


def test_the_published_schema_is_current() -> None:
    published = PUBLISHED.read_text(encoding="utf-8")
    command = f"run: python -m holdfast.workspace.schema > {PUBLISHED}"
    assert published == encode(settings_schema()).decode(), command


def test_it_takes_a_part_of_the_settings_and_refuses_a_misspelt_key() -> None:
    schema = settings_schema()
    jsonschema.validate({"$schema": "x", "queues": {"durability": "power"}}, schema)
    wrongs: list[dict[str, dict[str, str]]] = [{"quues": {}}, {"queues": {"durability": "eternal"}}]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
