"""Eight processes write 100,000 lines each, through rotations, compression and killed writers."""

import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from holdfast.durable.files import is_temporary
from holdfast.logs import search
from holdfast.logs.rotation import Archive
from tests.conftest import SOURCE

CROWD = Path(__file__).parent / "crowd.py"
WRITERS, LINES, MAX_BYTES = 8, 100_000, 4_000_000
TORN = b'{"timestamp":"2026-01-01T00:00:00.000000Z","component":"sha'
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
        if is_temporary(path.name):
            continue  # killed while it compressed
        content = path.read_bytes()
        if path.suffix == ".zst":
            content = zstandard.ZstdDecompressor().decompress(content)
        elif path.with_name(path.name + ".zst").exists():
            continue  # killed between the two
        yield content


def tear(folder: Path) -> None:
    """Leave the first half of a line, as a writer does that is killed between two pages of one.

    The others have the file open and know nothing of it: the next line comes right behind.
    """
    with (folder / "shared.log").open("ab", buffering=0) as file:
        file.write(TORN)


def numbers_of(contents: Iterator[bytes]) -> tuple[dict[str, Counter[int]], int]:
    """How often each writer's lines stand there, whole lines behind torn ones too, and the torn."""
    numbers: dict[str, Counter[int]] = {}
    torn = 0
    for line in (line for content in contents for line in content.split(b"\n")):
        for writer, number in LINE.findall(line):
            numbers.setdefault(writer.decode(), Counter())[int(number)] += 1
        torn += bool(line) and LINE.fullmatch(line) is None
    return numbers, torn


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
        tear(tmp_path)
        killed += 1
    assert [writer.returncode for writer in crowd] == [0] * WRITERS

    Archive(tmp_path, "shared", None, True).tidy()
    numbers, torn = numbers_of(written(tmp_path))
    for number in range(WRITERS):
        of_writer = numbers.pop(f"w{number}")
        assert set(range(LINES)) - set(of_writer) == set(), "lines are lost"
        assert of_writer.total() == LINES, "lines are there twice"
    for of_victim in numbers.values():  # what it wrote before it was killed, and all of that
        assert sorted(of_victim.elements()) == list(range(len(of_victim)))
    assert 0 < torn <= 2 * killed
    rotated = len(list(tmp_path.glob("shared.*.log.zst")))
    assert rotated >= WRITERS * LINES * 110 // MAX_BYTES // 2
    assert sum(1 for _ in search(tmp_path, grep="99999")) >= WRITERS
