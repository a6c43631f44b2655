"""A disk that is really full: nothing acknowledged is lost, the error says so, and it goes on.

The disk is a small tmpfs where this user may mount one. Everywhere on POSIX it is also a real limit
on the size of files (RLIMIT_FSIZE), which the kernel enforces on every write.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.engines.urls import url_for
from holdfast.errors import StorageError
from holdfast.queues import Queue, Topic
from tests.conftest import Runner

if sys.platform == "win32":
    pytest.skip(
        "Windows has neither tmpfs nor limits on the size of files", allow_module_level=True
    )

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB, or a skip when this user may not mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk; RLIMIT_FSIZE is tested instead")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_a_queue_on_a_full_disk(small_disk: Path, scheme: str) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * (MIB // 2))
    url = url_for(scheme, small_disk / "queues")
    with Queue("q", url=url) as queue:
        ids = queue.put_many(["kept"] * 10)
        taken = queue.take(3)

        def fill() -> None:
            while True:
                ids.append(queue.put("x" * 1000))

        with pytest.raises(StorageError, match=r"[Ff]ree some|full|No space"):
            fill()
        assert queue.depth(5000) == len(ids)
        ballast.unlink()
        queue.ack(*(message.receipt for message in taken))
        ids.append(queue.put("room again"))
    with Queue("q", url=url) as again:
        left = [message.id for message in again.take(5000)]
    assert left == ids[3:]


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_a_topic_on_a_full_disk(small_disk: Path, scheme: str) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"\0" * MIB)
    url = url_for(scheme, small_disk / "queues")
    with Topic("t", url=url) as topic, topic.subscribe("a") as one:
        put = topic.put_many(range(10))

        def fill() -> None:
            while True:
                put.append(topic.put("x" * 1000))

        with pytest.raises(StorageError, match=r"[Ff]ree some|full|No space"):
            fill()
        assert topic.bounds() == (1, len(put))
        with pytest.raises(StorageError):
            one.take(5000)  # to feed is to write
        ballast.unlink()
        taken = one.take(5000)
        assert [message.position for message in taken] == put
        one.ack(*(message.receipt for message in taken))
        assert topic.put("room again") == len(put) + 1
        assert [message.body for message in one.take()] == ["room again"]


LIMITED = """
import resource, signal, sys
from holdfast.errors import StorageError
from holdfast.queues import Queue, Topic

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

url = sys.argv[1]
with Queue("q", url=url) as queue, Topic("t", url=url) as topic, topic.subscribe("a") as one:
    queue.put_many(["kept"] * 10)
    topic.put_many(range(10))
    taken = queue.take(3)
    limit(int(sys.argv[2]))
    counts = [10, 10]
    for number, put in enumerate((queue.put, topic.put)):
        try:
            while True:
                put("x" * 3000)
                counts[number] += 1
        except StorageError as error:
            print("refused:", error, file=sys.stderr)
    limit(resource.RLIM_INFINITY)
    assert queue.depth(5000) == counts[0], (queue.depth(5000), counts)
    assert topic.bounds() == (1, counts[1]), (topic.bounds(), counts)
    queue.ack(*(message.receipt for message in taken))
    queue.put("room again")
    assert topic.put("room again") == counts[1] + 1
with Queue("q", url=url) as queue, Topic("t", url=url) as topic, topic.subscribe("a") as one:
    left = queue.take(5000)
    assert len(left) == counts[0] - 2 and left[-1].body == "room again"
    assert [message.position for message in one.take(5000)] == list(range(1, counts[1] + 2))
print("fine", counts)
"""


@pytest.mark.parametrize("scheme", ["file", "sqlite"])
def test_a_limit_on_the_size_of_files(run_python: Runner, tmp_path: Path, scheme: str) -> None:
    done = run_python(LIMITED, url_for(scheme, tmp_path / "queues"), 300_000)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fine")
    assert done.stderr.count("refused:") == 2
