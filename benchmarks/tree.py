"""A workspace to back up: like a real one in the number, size and kinds of its files.

Checked-out packages, two node_modules trees, a virtual environment, JSON logs and a SQLite file.
The text is lines of common words, so that it compresses about as source code does. The same shape
and seed give the same tree.
"""

import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path

_SYLLABLES = tuple(f"{one}{two}" for one in "bcdfghjklm" for two in "aeio")
_POOL = 40_000  # different lines a kind of text is made of


@dataclass(frozen=True)
class Shape:
    """How much: numbers of files, `text` their mean size in bytes; the sizes of logs and database.

    The whole has ``packages + 2 * modules + libraries`` files and a few more.
    """

    packages: int = 30_000
    modules: int = 21_000
    libraries: int = 12_000
    text: int = 6_350
    logs: int = 160_000_000
    database: int = 63_000_000

    def divided(self, by: int) -> "Shape":
        """The same kinds of files, `by` times fewer of them; logs and database as much smaller."""
        return Shape(
            self.packages // by,
            self.modules // by,
            self.libraries // by,
            self.text,
            self.logs // by,
            self.database // by,
        )


def make_tree(root: Path, shape: Shape, *, seed: int = 1) -> int:
    """Make the tree at `root`, which must not exist yet; how many files it has."""
    root.mkdir(parents=True)
    parts = [
        (_package_files, root / "agents", shape.packages, shape.text, seed),
        (_module_files, root / "mcp-servers" / "financial", shape.modules, shape.text, seed + 1),
        (_module_files, root / "mcp-servers" / "utilities", shape.modules, shape.text, seed + 2),
        (_library_files, root / "shared" / ".venv", shape.libraries, shape.text, seed + 3),
    ]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        others = pool.submit(_make_data, root, shape, seed + 4)
        made = [pool.submit(_write_part, *part) for part in parts]
        return sum(one.result() for one in made) + others.result()


def ensure_tree(root: Path, shape: Shape) -> None:
    """The tree at `root`, made when it is not there yet."""
    done = root.with_suffix(".made")
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        make_tree(root, shape)
        done.write_text(str(shape), "utf-8")
        for folder, _, names in os.walk(root):  # all sides begin with a warm cache
            for name in names:
                Path(folder, name).read_bytes()


def edit_tree(root: Path, *, number: int) -> None:
    """A day's work: 100 files edited, 50 new ones, one log grown by half a megabyte."""
    chance = random.Random(f"edit {number}")
    lines = _lines(chance, _python_line, 500)
    sources = sorted((root / "agents").glob("*/*/*.py"))
    for path in chance.sample(sources, min(100, len(sources))):
        before = path.read_text("utf-8").splitlines(keepends=True)
        before[len(before) // 2 : len(before) // 2] = chance.choices(lines, k=5)
        path.write_text("".join(before), "utf-8", newline="\n")
    fresh = root / "agents" / "fresh" / f"day-{number}"
    fresh.mkdir(parents=True)
    for one in range(50):
        text = "".join(chance.choices(lines, k=150))
        (fresh / f"module_{one:02d}.py").write_text(text, "utf-8", newline="\n")
    log = root / "logs" / "agent-0.log"
    with log.open("a", encoding="utf-8", newline="\n") as file:
        file.writelines(islice(_log_lines(chance), 2_500))


def _write_part(
    paths: Callable[[int, random.Random], Iterator[tuple[str, str]]],
    root: Path,
    files: int,
    size: int,
    seed: int,
) -> int:
    chance = random.Random(seed)
    pools = {kind: _lines(chance, line, _POOL) for kind, line in _KINDS.items()}
    made: set[str] = set()
    mean = {kind: sum(map(len, lines)) / len(lines) for kind, lines in pools.items()}
    for name, kind in islice(paths(files, chance), files):
        folder = name.rpartition("/")[0]
        if folder not in made:
            (root / folder).mkdir(parents=True, exist_ok=True)
            made.add(folder)
        # Few are long and most are short, as in real trees; the mean stays `size`.
        wanted = size * chance.expovariate(1.0)
        text = "".join(chance.choices(pools[kind], k=1 + int(wanted / mean[kind])))
        with (root / name).open("w", encoding="utf-8", newline="\n") as file:
            file.write(f"{name}\n{text}")
    return files


def _package_files(files: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    for package in count():
        name = f"{_word(chance)}-agent-{package}"
        yield f"{name}/README.md", "prose"
        for one in range(60):
            module = f"{name}/{_word(chance)}/{_word(chance)}_{one}"
            yield (f"{module}.json", "json") if one % 8 == 0 else (f"{module}.py", "python")


def _module_files(files: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    for package in count():
        name = f"node_modules/{_word(chance)}-{package}"
        yield f"{name}/package.json", "json"
        yield f"{name}/README.md", "prose"
        for one in range(chance.randrange(4, 40)):
            yield f"{name}/dist/{_word(chance)}-{one}.js", "script"


def _library_files(files: int, chance: random.Random) -> Iterator[tuple[str, str]]:
    for package in count():
        name = f"lib/python3.11/site-packages/{_word(chance)}_{package}"
        for one in range(40):
            yield f"{name}/{_word(chance)}_{one}.py", "python"


def _make_data(root: Path, shape: Shape, seed: int) -> int:
    chance = random.Random(seed)
    (root / "logs").mkdir()
    for number in range(8):
        _write_log(root / "logs" / f"agent-{number}.log", shape.logs // 8, chance)
    (root / "configs").mkdir()
    _write_database(root / "configs" / "knowledge.db", shape.database, chance)
    return 9


def _write_log(path: Path, size: int, chance: random.Random) -> None:
    written = 0
    lines = _log_lines(chance)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        while written < size:
            written += file.write(next(lines))


def _write_database(path: Path, size: int, chance: random.Random) -> None:
    words = [_word(chance) for _ in range(2_000)]
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, title TEXT, body TEXT)")
    rows = (
        (" ".join(chance.choices(words, k=4)), " ".join(chance.choices(words, k=150)))
        for _ in count()
    )
    while path.stat().st_size < size:
        with connection:
            connection.executemany(
                "INSERT INTO notes (title, body) VALUES (?, ?)", islice(rows, 500)
            )
    connection.close()
    earlier = time.time() - 3600  # a young database is captured by SQLite, not byte for byte
    os.utime(path, (earlier, earlier))


def _log_lines(chance: random.Random) -> Iterator[str]:
    words = [_word(chance) for _ in range(500)]
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    while True:
        moment += timedelta(seconds=chance.random())
        record = {
            "timestamp": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}",
            "component": "WorkflowEngine",
            "level": chance.choice(("INFO", "INFO", "INFO", "DEBUG", "WARNING")),
            "message": " ".join(chance.choices(words, k=6)),
            "task_id": f"workflow-{chance.randrange(10_000)}:task-{chance.randrange(50)}",
        }
        yield json.dumps(record) + "\n"


def _lines(
    chance: random.Random, line: Callable[[random.Random, list[str]], str], number: int
) -> list[str]:
    words = [_word(chance) for _ in range(3_000)]
    return [line(chance, words) + "\n" for _ in range(number)]


def _python_line(chance: random.Random, words: list[str]) -> str:
    one, two, three = chance.choices(words, k=3)
    return chance.choice(
        (
            f"    {one} = self.{two}({three}, {chance.randrange(100)})",
            f"        if {one} is not None and {two}.{three}:",
            f"    def {one}_{two}(self, {three}: str) -> None:",
            f'        raise ValueError(f"{one} {two} of {{{three}}}")',
            f"from {one}.{two} import {three}",
            "",
        )
    )


def _script_line(chance: random.Random, words: list[str]) -> str:
    one, two, three = chance.choices(words, k=3)
    return chance.choice(
        (
            f"  const {one} = {two}.{three}(options);",
            f"  if (!{one}) {{ return {two}({three}); }}",
            f"exports.{one} = function {two}({three}) {{",
            "};",
        )
    )


def _prose_line(chance: random.Random, words: list[str]) -> str:
    return " ".join(chance.choices(words, k=12)).capitalize() + "."


def _json_line(chance: random.Random, words: list[str]) -> str:
    one, two = chance.choices(words, k=2)
    return f'  "{one}": "{two}-{chance.randrange(1000)}",'


def _word(chance: random.Random) -> str:
    return "".join(chance.choices(_SYLLABLES, k=chance.randrange(2, 5)))


_KINDS = {"python": _python_line, "script": _script_line, "prose": _prose_line, "json": _json_line}
