"""structlog, set up to write into Holdfast's files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from holdfast.context import task
from holdfast.logs import HoldfastProcessor


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Any]:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            HoldfastProcessor("observatory", directory=tmp_path),
        ]
    )
    yield structlog.get_logger()
    structlog.reset_defaults()


def lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "observatory.log").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_an_event_becomes_the_seeds_line(log: Any, tmp_path: Path) -> None:
    with task("run-1:look-1"), structlog.contextvars.bound_contextvars(request="r1"):
        log.bind(folder="agents").warning("Changed", files=3)
    (line,) = lines(tmp_path)
    assert list(line)[:5] == ["timestamp", "component", "level", "message", "task_id"]
    assert (line["component"], line["level"], line["message"]) == (
        "observatory",
        "WARNING",
        "Changed",
    )
    assert line["task_id"] == "run-1:look-1"
    assert (line["request"], line["folder"], line["files"]) == ("r1", "agents", 3)


def test_levels_and_exceptions(log: Any, tmp_path: Path) -> None:
    log.debug("d")
    log.critical("c")
    try:
        raise ValueError("broken")
    except ValueError as error:
        log.exception("caught")
        kept = error
    log.error("later", exc_info=kept)
    told = lines(tmp_path)
    assert [line["level"] for line in told] == ["DEBUG", "CRITICAL", "ERROR", "ERROR"]
    assert {line["error"] for line in told[2:]} == {"broken"}
    assert "ValueError: broken" in told[3]["traceback"]
    assert not any("exc_info" in line for line in told)


def test_nothing_is_printed_besides(log: Any, capsys: pytest.CaptureFixture[str]) -> None:
    log.info("quiet")
    assert capsys.readouterr() == ("", "")
