"""Many processes, rotation, compression, crashes: no line is lost and none is torn."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from holdfast.durable.faults import armed
from holdfast.durable.shared_files import SharedFile
from holdfast.errors import StorageError
from holdfast.logs import Rotation, close_loggers, get_logger, search
from holdfast.logs.rotation import Archive
from tests.conftest import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

WRITER = Path(__file__).parent / "writer.py"


def start(directory: Path, name: str, lines: int, max_bytes: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(WRITER), str(directory), name, str(lines), str(max_bytes)],
        stdout=subprocess.PIPE if name.startswith("ack") else None,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def counted(directory: Path) -> Counter[tuple[str, int]]:
    found = search(directory)
    lines = Counter((r.data["writer"], r.data["number"]) for r in found)
    assert not found.unreadable
    return lines


def test_many_processes_through_rotations_lose_and_tear_nothing(tmp_path: Path) -> None:
    writers, lines = 4, 4_000
    running = [start(tmp_path, f"w{n}", lines, 100_000) for n in range(writers)]
    while any(process.poll() is None for process in running):
        seen = counted(tmp_path) if tmp_path.exists() and any(tmp_path.glob("*.log")) else Counter()
        assert max(seen.values(), default=1) == 1  # a reader meets no line twice while it rotates
        time.sleep(0.05)
    assert [process.wait() for process in running] == [0] * writers
    expected = Counter((f"w{n}", number) for n in range(writers) for number in range(lines))
    assert counted(tmp_path) == expected
    assert len(list(tmp_path.glob("shared.*.log*"))) >= 5
    assert list(tmp_path.glob("*.zst"))
    Archive(tmp_path, "shared", None, True).tidy()
    assert counted(tmp_path) == expected
    assert [path.name for path in tmp_path.glob("*.log")] == ["shared.log"]


@pytest.mark.parametrize("round_", range(5))
def test_kill_at_any_instant_keeps_every_acknowledged_line(tmp_path: Path, round_: int) -> None:
    running = [start(tmp_path, f"ack{n}", 1_000_000, 70_000) for n in range(2)]
    acknowledged: dict[str, int] = {}

    def listen(name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith(b"\n"):
                acknowledged[name] = int(line)

    threads = [
        threading.Thread(target=listen, args=(f"ack{n}", process))
        for n, process in enumerate(running)
    ]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 2:
        time.sleep(0.01)
    time.sleep(random.Random(round_).uniform(0.05, 0.5))
    for process in running:
        process.kill()
        process.wait()
    for thread in threads:
        thread.join()
    for process in running:
        assert process.stdout is not None
        process.stdout.close()
    get_logger("shared", directory=tmp_path).info("after", writer="me", number=0)
    found = search(tmp_path)
    lines = Counter((r.data["writer"], r.data["number"]) for r in found)
    assert sum(found.unreadable.values()) <= 2  # at most the line each was writing
    assert max(lines.values()) == 1
    for name, last in acknowledged.items():
        assert {(name, number) for number in range(last + 1)} <= lines.keys()
    close_loggers()


@pytest.mark.parametrize("point", ["logs.rotate", "logs.rotated", "logs.compressed"])
def test_crash_in_the_middle_of_a_rotation(tmp_path: Path, point: str) -> None:
    code = (
        "import sys; from pathlib import Path; from holdfast.logs import Rotation, get_logger\n"
        "log = get_logger('shared', directory=Path(sys.argv[1]), rotation=Rotation(20_000))\n"
        "for n in range(5000): log.info('line', writer='w', number=n); print(n, flush=True)"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SOURCE), "HOLDFAST_FAULTS": f"{point}=crash@2"},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert child.returncode != 0
    last = int(child.stdout.split()[-1])
    lines = counted(tmp_path)
    assert max(lines.values()) == 1
    assert {("w", number) for number in range(last + 1)} <= lines.keys()
    Archive(tmp_path, "shared", None, True).tidy()
    assert counted(tmp_path) == lines


def test_an_open_file_is_not_compressed(tmp_path: Path) -> None:
    path = tmp_path / "shared.log"
    late_writer = SharedFile(path)
    late_writer.append(b'{"timestamp":"2025-01-20T10:30:00Z","message":"a"}\n')
    archive = Archive(tmp_path, "shared", None, True)
    rotated = archive.free_name("2025-01-20T10:30:00")
    path.rename(rotated)
    archive.tidy()
    late_writer.append(b'{"timestamp":"2025-01-20T10:30:01Z","message":"b"}\n')
    assert [r.data["message"] for r in search(tmp_path)] == ["a", "b"]
    assert rotated.exists()
    del late_writer
    archive.tidy()
    assert [r.data["message"] for r in search(tmp_path)] == ["a", "b"]
    assert not rotated.exists()


def test_retention_removes_only_what_is_past_its_days(tmp_path: Path) -> None:
    archive = Archive(tmp_path, "agent", 30, True)
    now = datetime.now(UTC).replace(tzinfo=None)
    old, young = (archive.free_name((now - timedelta(days=d)).isoformat()) for d in (31, 29))
    others = tmp_path / old.name.replace("agent", "other")
    for path in (old, young, others):
        path.write_bytes(b"x\n")
    archive.tidy()
    assert sorted(p.name for p in tmp_path.glob("*.log*")) == [young.name + ".zst", others.name]
    packed = (tmp_path / (young.name + ".zst")).read_bytes()
    assert zstandard.ZstdDecompressor().decompress(packed) == b"x\n"


def test_a_torn_tail_does_not_swallow_the_next_line(tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    path.write_bytes(b'{"timestamp":"%b","mess' % datetime.now(UTC).isoformat().encode())
    get_logger("agent", directory=tmp_path).info("whole")
    found = search(tmp_path)
    assert [record.data["message"] for record in found] == ["whole"]
    assert found.unreadable == {path: 1}


@pytest.mark.parametrize(
    "last", ["2025-01-20T23:59:59.999999Z", "9025-01-20T10:30:00Z"], ids=["yesterday", "set back"]
)
def test_a_file_holds_one_day_and_no_step_back(tmp_path: Path, last: str) -> None:
    (tmp_path / "agent.log").write_text(f'{{"timestamp":"{last}","message":"old"}}\n')
    log = get_logger("agent", directory=tmp_path, rotation=Rotation(keep_days=None))
    log.info("new")
    assert '"old"' not in log.path.read_text("utf-8")
    messages = [record.data["message"] for record in search(tmp_path)]
    assert messages == sorted(messages, reverse=last < "2026")


def test_a_full_disk_is_said_and_the_next_line_is_whole(tmp_path: Path) -> None:
    log = get_logger("agent", directory=tmp_path, rotation=Rotation(max_bytes=1))
    with armed("logs.rotate=error:ENOSPC"):
        log.info("kept although the rotation failed")
    if sys.platform != "win32" and Path("/dev/full").exists():
        (tmp_path / "full.log").symlink_to("/dev/full")
        with pytest.raises(StorageError, match="full"):
            get_logger("full", directory=tmp_path).info("x")
        (tmp_path / "full.log").unlink()
    log.info("second")
    assert [r.data["message"] for r in search(tmp_path, components=["agent"])][1:] == ["second"]


@pytest.mark.skipif(sys.platform == "win32", reason="an open file's name may stay for a while")
def test_a_removed_folder_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    log = get_logger("agent", directory=folder, rotation=Rotation(max_bytes=1))
    log.info("one")
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    time.sleep(1.1)  # a writer looks once a second
    log.info("two")
    assert [r.data["message"] for r in search(folder)] == ["two"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_threads_and_forks_share_a_file(tmp_path: Path) -> None:
    log = get_logger("agent", directory=tmp_path, rotation=Rotation(max_bytes=50_000))

    def write(name: str) -> None:
        for number in range(1_000):
            log.info("line", writer=name, number=number)

    threads = [threading.Thread(target=write, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fork: Callable[[], int] = vars(os)["fork"]
    child = fork()
    if not child:
        write("child")
        os._exit(0)
    write("parent")
    assert os.waitpid(child, 0)[1] == 0
    expected = Counter(
        (name, n) for name in ("t0", "t1", "t2", "t3", "child", "parent") for n in range(1_000)
    )
    assert counted(tmp_path) == expected
