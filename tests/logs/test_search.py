"""Reading back: conditions, order, bisection, damage."""

import json
import random
import threading
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import NotFoundError, UsageError
from holdfast.logs import Record, Rotation, get_logger, search

T0 = datetime(2025, 1, 20, 10, 30, tzinfo=UTC)


def line(seconds: float, message: str = "m", **keys: object) -> bytes:
    stamp = (T0 + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat() + "Z"
    data: dict[str, object] = {"timestamp": stamp, "component": "WorkflowEngine", "level": "INFO"}
    data |= {"message": message, "task_id": None} | keys
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def messages(found: Iterable[Record]) -> list[str]:
    return [record.data["message"] for record in found]


def test_the_seeds_own_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "workflow.log").write_text(
        '{"timestamp": "2025-01-20T10:30:00Z", "component": "WorkflowEngine", "level": "INFO",'
        ' "message": "Task completed", "task_id": "workflow-123:task-456"}\r\n'
    )
    wanted: dict[str, Any]
    for wanted in (
        {"task": "workflow-123"},
        {"task": "workflow-123:task-456"},
        {"components": ["WorkflowEngine"]},
        {"components": ["workflow"]},
        {"components": ["Work*"]},
        {"level": "info"},
        {"grep": "completed"},
        {"grep": "^Task"},
        {"since": T0},
        {"until": T0 + timedelta(seconds=1)},
    ):
        assert messages(search(tmp_path, **wanted)) == ["Task completed"], wanted
    unwanted: dict[str, Any]
    for unwanted in (
        {"task": "workflow-12"},
        {"task": "task-456"},
        {"components": ["other"]},
        {"level": "WARNING"},
        {"grep": "failed"},
        {"since": T0 + timedelta(seconds=1)},
        {"until": T0},
    ):
        assert not messages(search(tmp_path, **unwanted)), unwanted


def test_order_of_time_across_components_and_compressed_files(tmp_path: Path) -> None:
    order = list(range(400))
    random.Random(1).shuffle(order)
    parts = [sorted(order[n::4]) for n in range(4)]
    files = [b"".join(line(n, str(n)) for n in part) for part in parts]
    (tmp_path / "a.log").write_bytes(files[0])
    (tmp_path / "b.log").write_bytes(files[1])
    (tmp_path / "b.20250121T000000.000000Z.log").write_bytes(files[2])
    packed = zstandard.ZstdCompressor().compress(files[3])
    (tmp_path / "c.20250121T000000.000000Z.log.zst").write_bytes(packed)
    assert messages(search(tmp_path)) == [str(n) for n in range(400)]
    assert messages(search(tmp_path, limit=3)) == ["397", "398", "399"]
    since, until = T0 + timedelta(seconds=100), T0 + timedelta(seconds=110)
    found = search(tmp_path, since=since, until=until)
    assert messages(found) == [str(n) for n in range(100, 110)]


def test_a_compressed_twin_is_not_read_twice(tmp_path: Path) -> None:
    name = "c.20250121T000000.000000Z.log"
    (tmp_path / name).write_bytes(line(1))
    (tmp_path / f"{name}.zst").write_bytes(zstandard.ZstdCompressor().compress(line(1)))
    assert messages(search(tmp_path)) == ["m"]


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """5 MB in one file, some of its lines overtaken by others; and the second of each line."""
    folder, chance = tmp_path_factory.mktemp("logs"), random.Random(5)
    seconds = [n + chance.uniform(-5, 5) * (n % 50 == 0) for n in range(30_000)]
    lines = [line(second, str(n), filler="x" * 40) for n, second in enumerate(seconds)]
    (folder / "a.log").write_bytes(b"".join(lines))
    return folder, seconds


@settings(deadline=None, max_examples=30)
@given(since=st.integers(-10, 30_010), length=st.integers(0, 3_000))
def test_bisection_finds_what_a_scan_finds(
    big: tuple[Path, list[float]], since: int, length: int
) -> None:
    folder, seconds = big
    until = since + length
    found = search(folder, since=T0 + timedelta(seconds=since), until=T0 + timedelta(seconds=until))
    wanted = sorted((second, n) for n, second in enumerate(seconds) if since <= second < until)
    assert messages(found) == [str(n) for _, n in wanted]


DAMAGE = {
    "torn": b'{"timestamp":"2025-01-20T10:30:00Z","mes\n',
    "NULs": b"\0" * 5000 + b"\n",
    "plain text": b"Traceback (most recent call last):\n",
    "no object": b"[1, 2]\n",
    "no time": b'{"message":"x"}\n',
    "not UTF-8": b'{"timestamp":"2025-01-20T10:30:00Z","message":"\xff"}\n',
    "nested": b'{"timestamp":"2025-01-20T10:30:00Z","x":' + b"[" * 100_000 + b"\n",
}


@pytest.mark.parametrize("grep", [None, "m"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_counted_and_never_fatal(tmp_path: Path, kind: str, grep: str | None) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(line(0) + DAMAGE[kind] + b"\n" + line(1))
    found = search(tmp_path, grep=grep)
    assert messages(found) == ["m", "m"]
    assert found.unreadable == {path: 1}


@pytest.mark.parametrize("torn", [b"\0\0\0", line(0)[:-20], line(0)[:20]])
def test_a_whole_line_behind_a_torn_one_is_saved(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / "a.log").write_bytes(line(0, "before") + torn + line(1, "saved"))
    found = search(tmp_path)
    assert messages(found) == ["before", "saved"]
    assert sum(found.unreadable.values()) == 1


def test_a_damaged_compressed_file_gives_what_it_can(tmp_path: Path) -> None:
    noise = random.Random(0)
    content = b"".join(line(n, noise.randbytes(20).hex()) for n in range(20_000))
    packed = zstandard.ZstdCompressor().compress(content)
    (tmp_path / "a.20250121T000000.000000Z.log.zst").write_bytes(
        packed[: len(packed) // 2] + b"\xff" * 50
    )
    (tmp_path / "b.log").write_bytes(line(0, "other"))
    found = search(tmp_path)
    assert "other" in messages(found)
    assert sum(found.unreadable.values()) >= 1


def test_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        list(search(tmp_path / "none"))
    with pytest.raises(UsageError, match="regular expression"):
        search(tmp_path, grep="(")
    with pytest.raises(UsageError, match="time zone"):
        search(tmp_path, since=datetime(2025, 1, 1))  # noqa: DTZ001
    with pytest.raises(UsageError, match="no level"):
        search(tmp_path, level="loud")
    assert list(search(tmp_path)) == []


def test_follow_sees_each_line_once_through_rotations(tmp_path: Path) -> None:
    log = get_logger("agent", directory=tmp_path, rotation=Rotation(max_bytes=2_000))
    log.info("0")
    followed = iter(search(tmp_path, follow=True))
    assert next(followed).data["message"] == "0"

    def write() -> None:
        for number in range(1, 2_000):
            log.info(str(number))

    writer = threading.Thread(target=write)
    writer.start()
    got = [next(followed).data["message"] for _ in range(1, 2_000)]
    writer.join()
    assert got == [str(number) for number in range(1, 2_000)]
