"""Eight processes write 100,000 lines each, through rotations, compression and killed writers."""

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from holdfast.logs import search
from holdfast.logs.rotation import Archive
from tests.conftest import SOURCE

CROWD = Path(__file__).parent / "crowd.py"
WRITERS, LINES, MAX_BYTES = 8, 100_000, 4_000_000
LINE = re.compile(
    rb'\{"timestamp":"[\d:.T-]{26}Z","component":"shared","level":"INFO","message":"line",'
    rb'"task_id":null,"writer":"(\w+)","number":(\d+)\}'
)


def start(folder: Path, name: str, lines: int) -> subprocess.Popen[bytes]:
    arguments = [str(folder), name, str(lines), str(MAX_BYTES)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen([sys.executable, str(CROWD), *arguments], env=environment)


def written(folder: Path) -> Iterator[bytes]:
    """The content of each file, plain or compressed, once nobody writes any more."""
    for path in folder.glob("*.log*"):
        content = path.read_bytes()
        if path.suffix == ".zst":
            content = zstandard.ZstdDecompressor().decompress(content)
        elif path.with_name(path.name + ".zst").exists():
            continue  # killed between the two
        yield content


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_eight_times_a_hundred_thousand_lines(tmp_path: Path) -> None:
    chance = random.Random(8)
    crowd = [start(tmp_path, f"w{number}", LINES) for number in range(WRITERS)]
    killed = 0
    while any(writer.poll() is None for writer in crowd):
        victim = start(tmp_path, f"victim{killed}", 10 * LINES)
        time.sleep(chance.uniform(0.3, 1.5))
        victim.kill()
        victim.wait()
        killed += 1
    assert [writer.returncode for writer in crowd] == [0] * WRITERS

    Archive(tmp_path, "shared", None, True).tidy()
    numbers: dict[bytes, list[int]] = {}
    torn = 0
    for content in written(tmp_path):
        for line in content.split(b"\n"):
            match = LINE.fullmatch(line)
            if match is not None:
                numbers.setdefault(match[1], []).append(int(match[2]))
            else:
                torn += bool(line)
    everything = list(range(LINES))
    for number in range(WRITERS):
        assert sorted(numbers.pop(b"w%d" % number)) == everything
    for of_victim in numbers.values():  # what it wrote before it was killed, and all of that
        assert sorted(of_victim) == list(range(len(of_victim)))
    assert torn <= killed
    rotated = len(list(tmp_path.glob("shared.*.log.zst")))
    assert rotated >= WRITERS * LINES * 110 // MAX_BYTES // 2
    assert sum(1 for _ in search(tmp_path, grep="99999")) >= WRITERS
