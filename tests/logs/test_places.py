"""Where lines go when nobody says so, and the standard library's loggers."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, UsageError
from holdfast.logs import HoldfastHandler, close_loggers, get_logger, use_directory
from holdfast.logs.times import parse_time


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    close_loggers()
    yield
    use_directory(None)


def workspace(root: Path) -> Path:
    marker = root / ".holdfast" / "workspace.json"
    marker.parent.mkdir(parents=True)
    marker.write_text(json.dumps({"id": "x", "name": "w", "home": "..", "formatVersion": 1}))
    return root


def test_the_workspace_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = workspace(tmp_path / "ws") / "agents" / "a"
    below.mkdir(parents=True)
    monkeypatch.delenv("HOLDFAST_WORKSPACE", raising=False)
    monkeypatch.chdir(below)
    get_logger("upwards").info("x")
    assert (tmp_path / "ws" / "logs" / "upwards.log").is_file()


def test_the_variable_and_then_use_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = get_logger("moving")
    monkeypatch.setenv("HOLDFAST_WORKSPACE", str(workspace(tmp_path / "ws")))
    log.info("x")
    assert (tmp_path / "ws" / "logs" / "moving.log").is_file()
    use_directory(tmp_path / "chosen")
    log.info("y")
    assert log.path == tmp_path / "chosen" / "moving.log"
    assert log.path.is_file()
    use_directory(None)
    monkeypatch.setenv("HOLDFAST_WORKSPACE", str(tmp_path / "nowhere"))
    with pytest.raises(NotFoundError):
        log.info("z")


def test_loggers_are_cached_per_component_and_directory(tmp_path: Path) -> None:
    assert get_logger("a", directory=tmp_path) is get_logger("a", directory=tmp_path)
    assert get_logger("a", directory=tmp_path) is not get_logger("a", directory=tmp_path / "b")


def test_the_standard_librarys_loggers(tmp_path: Path) -> None:
    existing = logging.getLogger("some.module")
    existing.propagate = False
    existing.addHandler(HoldfastHandler("observatory", directory=tmp_path))
    existing.warning("%d left", 3, extra={"disk": "C:", "message_id": 7})
    try:
        raise OSError("no")
    except OSError:
        existing.exception("failed")
    lines = (tmp_path / "observatory.log").read_text("utf-8").splitlines()
    first, second = map(json.loads, lines)
    assert (first["message"], first["level"], first["logger"]) == (
        "3 left",
        "WARNING",
        "some.module",
    )
    assert (first["disk"], first["message_id"]) == ("C:", 7)
    assert (second["level"], second["error_type"]) == ("ERROR", "OSError")


NOW = datetime(2025, 3, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("1d12h", NOW - timedelta(hours=36)),
        ("1.5m", NOW - timedelta(seconds=90)),
        ("now", NOW),
        ("2025-01-20T10:30:00Z", datetime(2025, 1, 20, 10, 30, tzinfo=UTC)),
        ("2025-01-20T10:30:00+02:00", datetime(2025, 1, 20, 8, 30, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    assert parse_time(text, now=NOW) == expected


def test_local_days() -> None:
    today, yesterday = (parse_time(word, now=NOW).astimezone() for word in ("today", "yesterday"))
    assert today.date() - yesterday.date() == timedelta(days=1)
    assert (today.hour, yesterday.hour) == (0, 0)
    assert parse_time(today.date().isoformat()) == today


@pytest.mark.parametrize("text", ["", "soon", "2 h", "h", "-2h", "2025-13-01", "9" * 30 + "d"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_time(text)
