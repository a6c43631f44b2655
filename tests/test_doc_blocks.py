"""No block of code in README.md and docs/ stands there untried."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

import jsonschema

from tests.pages import ROOT

BLOCK = re.compile(r"^([^\n]*)\n```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

# By page and first line: why no test runs it as it stands, or which one does.
TRIED_ELSEWHERE = {
    ("docs/benchmarks.md", "python -m benchmarks"): "hours; tests/test_benchmarks.py in short",
    ("docs/format.md", "# open"): "tests/vault/test_format.py",
    ("docs/format.md", "# list"): "tests/vault/test_format.py",
    ("docs/format.md", "# one file"): "tests/vault/test_format.py",
    ("docs/format.md", "# everything"): "tests/vault/test_format.py",
    ("docs/howto-browser.md", "holdfast ui"): "endless; tests/web",
    ("docs/howto-install.md", "python3 -m venv .venv"): ".ci/run, with README's own commands",
    (
        "docs/howto-services.md",
        'holdfast queues put goals \'{"workflow": "inventory", "input": {"pattern": "*.json"}}\'',
    ): "tests/services/test_example_agents.py",
    (
        "docs/howto-services.md",
        "pip wheel --no-deps --wheel-dir docker/wheels PATH_TO_HOLDFAST",
    ): "tests/workspace/test_example_deployment.py",
    ("docs/howto-schedule.md", "holdfast schedule watch"): "endless; tests/schedule/test_watch.py",
}


class Block(NamedTuple):
    """A block of code in a page."""

    page: str
    marked: bool
    language: str
    text: str


def blocks() -> Iterator[Block]:
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        page = path.relative_to(ROOT).as_posix()
        for before, language, text in BLOCK.findall(path.read_text(encoding="utf-8")):
            yield Block(page, before.startswith("<!-- "), language, text)


def test_every_block_of_commands_or_python_is_tried() -> None:
    untried = {
        (block.page, re.split(r"\n|  ", block.text)[0])
        for block in blocks()
        if block.language in ("sh", "python") and not block.marked
    }
    assert untried == set(TRIED_ELSEWHERE)


def test_every_json_is_what_a_schema_says() -> None:
    schemas = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "docs/schemas").glob("*.schema.json"))
    ]
    for block in blocks():
        if block.language != "json":
            continue
        document = json.loads(block.text)
        fits = [schema["title"] for schema in schemas if _fits(document, schema)]
        assert fits, f"{block.page}: fits no schema:\n{block.text}"


def _fits(document: object, schema: dict[str, object]) -> bool:
    validator = jsonschema.validators.validator_for(schema)
    return bool(validator(schema).is_valid(document))


def test_other_languages_are_those_that_nobody_runs_here() -> None:
    known = {"sh", "python", "json", "powershell", "bat", "console"}
    assert {block.language for block in blocks()} <= known
