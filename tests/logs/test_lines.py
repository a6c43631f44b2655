"""The line: the seed's shape, and values that no JSON knows."""

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.context import task
from holdfast.errors import StorageError, UsageError
from holdfast.logs import get_logger, log_context, search
from holdfast.logs.lines import free_keys, sort_key

SEED_KEYS = ["timestamp", "component", "level", "message", "task_id"]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_the_seeds_line(tmp_path: Path) -> None:
    log = get_logger("WorkflowEngine", directory=tmp_path)
    before = datetime.now(UTC)
    with task("workflow-123:task-456"):
        log.info("Task completed", pages=12)
    (line,) = lines_of(tmp_path / "WorkflowEngine.log")
    assert list(line) == [*SEED_KEYS, "pages"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])
    assert before <= datetime.fromisoformat(line["timestamp"]) <= datetime.now(UTC)
    del line["timestamp"]
    assert line == {
        "component": "WorkflowEngine",
        "level": "INFO",
        "message": "Task completed",
        "task_id": "workflow-123:task-456",
        "pages": 12,
    }


def test_context_binding_and_call_in_order_of_nearness(tmp_path: Path) -> None:
    log = get_logger("agent", directory=tmp_path).bind(bound=1, both=1)
    with log_context(around=1, both=2, task_id="run-1:step-2"):
        log.warning("a", both=3, level="x", message="y", level_="z")
    log.error("b", task_id="run-9:step-9")
    first, second = lines_of(log.path)
    assert list(first)[:5] == SEED_KEYS
    assert (first["around"], first["bound"], first["both"]) == (1, 1, 3)
    assert (first["level"], first["message"], first["task_id"]) == ("WARNING", "a", "run-1:step-2")
    assert (first["level__"], first["message_"], first["level_"]) == ("x", "y", "z")
    assert "around" not in second
    assert second["task_id"] == "run-9:step-9"


def test_without_a_task_the_key_is_there_and_null(tmp_path: Path) -> None:
    log = get_logger("agent", directory=tmp_path)
    log.info("x")
    assert lines_of(log.path)[0]["task_id"] is None


def test_levels(tmp_path: Path) -> None:
    log = get_logger("agent", directory=tmp_path, level="warning")
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(log, level)(level)
        log.log(level, level)
    assert [line["level"] for line in lines_of(log.path)] == [
        *["WARNING"] * 2,
        *["ERROR"] * 2,
        *["CRITICAL"] * 2,
    ]
    assert log.is_enabled("ERROR")
    assert not log.is_enabled("INFO")
    with pytest.raises(UsageError, match="no level"):
        get_logger("agent", directory=tmp_path, level="LOUD")


def test_exception(tmp_path: Path) -> None:
    log = get_logger("agent", directory=tmp_path)
    try:
        raise ValueError("bad \udc80")
    except ValueError:
        log.exception("failed", attempt=2)
    (line,) = lines_of(log.path)
    assert (line["error_type"], line["error"], line["attempt"]) == ("ValueError", "bad \\udc80", 2)
    assert "test_lines.py" in line["traceback"]


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError

    __str__ = __repr__


def test_values_that_json_does_not_know(tmp_path: Path) -> None:
    log = get_logger("agent", directory=tmp_path)
    loop: list[Any] = []
    loop.append(loop)
    log.info(Broken(), path=Path("a"), big=2**70, nan=math.nan, loop=loop, broken=Broken())
    log.info("odd keys", mapping={("a", 1): {1, 2}, "\ud800": b"\xff"})
    first, second = lines_of(log.path)
    assert first["message"] == "<Broken that cannot be shown>"
    assert (first["path"], first["big"], first["nan"]) == ("a", str(2**70), None)
    assert first["broken"] == first["message"]
    assert second["mapping"] == {"('a', 1)": [1, 2], "\\ud800": "/w=="}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(), st.dictionaries(st.text(), json_values, max_size=4))
def test_any_text_and_keys_come_back(tmp_path: Path, message: str, keys: dict[str, Any]) -> None:
    log = get_logger("any", directory=tmp_path)
    keys.pop("task_id", None)
    log.info(message, **keys)
    record = list(search(tmp_path))[-1]
    assert record.data["message"] == message
    assert {key: record.data[key] for key in free_keys(keys)} == free_keys(keys)
    assert list(record.data)[:5] == SEED_KEYS
    assert b"\n" not in record.line


surrogates = st.text(st.characters(categories=["Cs", "Cc", "Lu"]))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(surrogates, surrogates)
def test_lone_surrogates_never_fail(tmp_path: Path, message: str, value: str) -> None:
    log = get_logger("any", directory=tmp_path)
    log.info(message, value=[value])
    record = list(search(tmp_path))[-1]
    assert record.data["message"] == message.encode("utf-8", "backslashreplace").decode()


def test_a_component_must_be_a_file_name(tmp_path: Path) -> None:
    for name in ("../x", "a/b", "", "nul", ".hidden"):
        with pytest.raises(UsageError):
            get_logger(name, directory=tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError):
        get_logger("agent", directory=tmp_path / "file" / "logs")


def test_times_compare_whatever_their_precision() -> None:
    texts = [
        "2025-01-20T10:30:00Z",
        "2025-01-20T10:30:00.000001Z",
        "2025-01-20T11:30:00.5+01:00",
        "2025-01-20T10:30:00.999999999Z",
        "2025-01-20T10:30:01",
    ]
    keys = [sort_key(text) for text in texts]
    assert None not in keys
    assert keys == sorted(map(str, keys))
    assert [sort_key(bad) for bad in ("", "soon", None, 5, "2025-13-01T00:00:00")] == [None] * 5
