"""The published schema of accepted findings, and the file that is written."""

import json
from pathlib import Path

import jsonschema
import pytest

from holdfast.durable.documents import encode
from holdfast.facade import Workspace
from holdfast.guard.secrets.baseline import Accepted, Baseline
from holdfast.guard.secrets.schema import baseline_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas" / "secrets-baseline.schema.json"


def test_the_published_schema_is_current() -> None:
    published = PUBLISHED.read_text(encoding="utf-8")
    command = f"run: python -m holdfast.guard.secrets.schema > {PUBLISHED}"
    assert published == encode(baseline_schema()).decode(), command


def test_what_is_written_is_what_it_describes(workspace: Workspace) -> None:
    baseline = Baseline(workspace.layout)
    print_of_it = baseline.fingerprint(".env", "GitHub token", b"value")
    baseline.accept([Accepted(".env", "GitHub token", print_of_it)])
    written = json.loads(baseline.path.read_text(encoding="utf-8"))
    jsonschema.validate(written, baseline_schema())
    del written["accepted"][0]["fingerprint"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(written, baseline_schema())
