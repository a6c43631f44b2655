"""Locks: one holder among processes and threads, freed by death, never by a child."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from holdfast.durable.locks import Lock, read_holder
from holdfast.errors import BusyError, StorageError
from tests.conftest import SOURCE

COUNT = """
import sys
from pathlib import Path
from holdfast.durable.locks import Lock
folder = Path(sys.argv[1])
for _ in range(50):
    with Lock(folder / "lock", purpose="count", timeout=60):
        number = int((folder / "number").read_text())
        (folder / "number").write_text(str(number + 1))
"""

HOLD = """
import sys
from pathlib import Path
from holdfast.durable.locks import Lock
with Lock(Path(sys.argv[1]), purpose="hold it"):
    print("held", flush=True)
    sys.stdin.read()
"""


def start(code: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def test_processes_take_turns(tmp_path: Path) -> None:
    (tmp_path / "number").write_text("0")
    workers = [start(COUNT, tmp_path) for _ in range(4)]
    for worker in workers:
        worker.communicate(timeout=120)
        assert worker.returncode == 0
    assert (tmp_path / "number").read_text() == "200"


def test_threads_take_turns_on_one_lock_and_on_two(tmp_path: Path) -> None:
    shared = Lock(tmp_path / "lock", purpose="shared", timeout=60)
    inside: list[int] = []
    most: list[int] = []

    def work(lock: Lock) -> None:
        for _ in range(20):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    locks = [shared, shared, Lock(tmp_path / "lock", purpose="own", timeout=60)]
    threads = [threading.Thread(target=work, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 60
    assert max(most) == 1


def test_the_holder_is_named_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "lock"
    holder = start(HOLD, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match=f"process {holder.pid} on .*hold it"):
        Lock(path, purpose="want it", timeout=0).acquire()
    holder.kill()
    holder.communicate(timeout=60)
    with Lock(path, purpose="mine now", timeout=60):
        found = read_holder(path)
        assert found is not None
        assert (found.pid, found.purpose) == (os.getpid(), "mine now")


def test_not_reentrant_and_not_released_twice(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock", purpose="once", timeout=0)
    with lock, pytest.raises(BusyError):
        lock.acquire()
    with lock, pytest.raises(BusyError):
        Lock(tmp_path / "lock", purpose="again", timeout=0).acquire()
    with pytest.raises(RuntimeError):
        lock.release()
    for timeout in (float("inf"), -1.0):
        with Lock(tmp_path / "lock", purpose="any time", timeout=timeout):
            pass


def test_garbage_in_the_lock_file_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_bytes(b"\0" * 500)
    assert read_holder(path) is None
    assert read_holder(tmp_path / "none") is None
    with Lock(path, purpose="x"):
        assert read_holder(path) is not None


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError):
        Lock(tmp_path / "file" / "lock", purpose="x").acquire()
    lock = Lock(tmp_path, purpose="a folder is no lock file", timeout=0)
    for _ in range(2):
        with pytest.raises(StorageError):
            lock.acquire()


if sys.platform != "win32":

    def _opened_twice(path: Path) -> bool:
        """Whether the waiter has the file open too; taken for granted where nothing tells."""
        table = Path("/proc/self/fd")
        if not table.exists():
            return True
        links = [os.path.realpath(entry) for entry in table.iterdir()]
        return links.count(os.path.realpath(path)) == 2

    def test_waiting_for_a_deleted_file_ends_with_its_successor(tmp_path: Path) -> None:
        folder = tmp_path / "locks"
        first = Lock(folder / "lock", purpose="first")
        first.acquire()
        second = Lock(folder / "lock", purpose="second", timeout=60)
        taken = threading.Event()

        def wait() -> None:
            second.acquire()
            taken.set()

        waiter = threading.Thread(target=wait)
        waiter.start()
        while not _opened_twice(folder / "lock"):
            time.sleep(0.001)
        shutil.rmtree(folder)
        first.release()
        assert taken.wait(60)
        waiter.join()
        with pytest.raises(BusyError):
            Lock(folder / "lock", purpose="third", timeout=0).acquire()
        second.release()

    def test_a_forked_child_neither_holds_nor_frees_the_lock(tmp_path: Path) -> None:
        lock = Lock(tmp_path / "lock", purpose="the parent's")
        go, wait = os.pipe(), os.pipe()
        lock.acquire()
        child = os.fork()
        if child == 0:
            try:
                lock.release()
            except RuntimeError:
                os.write(go[1], b"not mine")
            os.read(wait[0], 1)
            os._exit(0)
        assert os.read(go[0], 100) == b"not mine"
        with pytest.raises(BusyError):
            Lock(tmp_path / "lock", purpose="other", timeout=0).acquire()
        lock.release()
        with Lock(tmp_path / "lock", purpose="other", timeout=0):
            os.write(wait[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*go, *wait):
            os.close(descriptor)

    def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
        before = os.listdir("/proc/self/fd") if Path("/proc/self/fd").exists() else []
        lock = Lock(tmp_path / "lock", purpose="x", timeout=0)
        for _ in range(20):
            with lock, pytest.raises(BusyError):
                Lock(tmp_path / "lock", purpose="y", timeout=0).acquire()
        after = os.listdir("/proc/self/fd") if before else []
        assert len(after) == len(before)
