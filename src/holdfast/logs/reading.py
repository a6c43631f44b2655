"""Reading logs back: in order of time, across components, rotated and compressed files."""

import heapq
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from holdfast.logs.lines import START, key_of, sort_key
from holdfast.logs.needles import Needle
from holdfast.logs.query import Query
from holdfast.logs.sources import DamagedFileError, Source, open_sources, starts_like_ours

# The end of a line that does not end as ours do, or is followed by one that begins otherwise.
_UNSOUND = re.compile(rb"\n(?!(?<=\}\n)" + re.escape(START) + rb")")
# So many lines of one file are held back to put those right that were overtaken.
_REORDERED = 1024


class Record(NamedTuple):
    """One line: its parsed object, its exact bytes (no newline), the file, its key of time."""

    key: str
    data: dict[str, Any]
    line: bytes
    path: Path


def search(
    directory: Path,
    *,
    components: Sequence[str] = (),
    level: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    task: str | None = None,
    grep: str | None = None,
    limit: int | None = None,
    follow: bool = False,
) -> "Search":
    """The lines in `directory` that meet all conditions, oldest first.

    `components` are names of components or files, ``agent-*`` is allowed; `level` is the lowest;
    `since` (inclusive) and `until` (exclusive) are aware; `task` is a task id, or a run's id for
    all of its steps; `grep` is a regular expression for the message and further values; `limit`
    keeps the newest so many. With `follow` the iteration goes on with lines as they are written,
    and does not end.

    Raises `UsageError`; iterating raises `NotFoundError` when there is no such folder, and
    `StorageError`. Lines that are no log lines never raise: they are in `Search.unreadable`.
    """
    query = Query(tuple(components), level, since, until, task, grep)
    return Search(directory, query, limit=limit, follow=follow)


class Search:
    """The answer of `search`: iterate for the records.

    `unreadable` counts, by file, the lines met that are torn, NUL-filled, plain text or otherwise
    no log lines, and compressed files that break off. Where the time range let whole stretches be
    skipped, these were not looked at.
    """

    def __init__(
        self, directory: Path, query: Query, *, limit: int | None = None, follow: bool = False
    ) -> None:
        self.directory = directory
        self.query = query
        self.limit = limit
        self.follow = follow
        self.unreadable: Counter[Path] = Counter()

    def __iter__(self) -> Iterator[Record]:
        sources = self._open()
        yield from self._present(sources)
        if self.follow:
            for batch in self._additions(sources):
                yield from batch

    def batches(self) -> Iterator[list[Record]]:
        """What is there, then what each look finds, which may be nothing. Never ends."""
        sources = self._open()
        yield list(self._present(sources))
        yield from self._additions(sources)

    def _open(self) -> list[Source]:
        sources = open_sources(self.directory)
        if self.follow:
            for source in sources:
                if not source.name.packed:
                    source.leave_unfinished_line()
        return sources

    def _present(self, sources: list[Source]) -> Iterator[Record]:
        found = self._merge(sources)
        return found if self.limit is None else _newest(found, self.limit)

    def _additions(self, sources: list[Source]) -> Iterator[list[Record]]:
        from holdfast.logs.following import Follower

        for batch in Follower(self.directory, sources).batches():
            fresh = [
                record
                for path, component, block in batch
                for record in self.records_of(block, path, component)
            ]
            yield sorted(fresh, key=_by_key)

    def records_of(
        self, block: bytes, path: Path, component: str, needles: Sequence[Needle] | None = None
    ) -> Iterator[Record]:
        """The wanted records among the whole lines of `block`.

        `needles` is what the query needs of lines of `component`, in the order it is looked for.
        """
        if needles is None:
            needles = self.query.needles(component)
        sound = _all_sound(block)
        if needles and sound:
            lines: Iterable[bytes] = _lines_with(block, needles)
        else:
            lines = filter(None, block.split(b"\n"))
        for line in lines:
            if not sound and _is_one_of_ours(line) and not _has_all(line, needles):
                continue
            for key, data, exact in self._parsed(line, path):
                if self.query.wants(key, data, component):
                    yield Record(key, data, exact, path)

    def _parsed(self, line: bytes, path: Path) -> Iterator[tuple[str, dict[str, Any], bytes]]:
        line = line.removesuffix(b"\r")
        whole = _parse(line)
        if whole is not None:
            yield (*whole, line)
            return
        self.unreadable[path] += 1
        for piece in line.split(START)[1:]:
            exact = START + piece
            saved = _parse(exact)
            if saved is not None and "message" in saved[1] and "component" in saved[1]:
                yield (*saved, exact)

    def _merge(self, sources: list[Source]) -> Iterator[Record]:
        """All sources by time, each opened for reading only when its time has come."""
        waiting = deque(sorted(self._of_interest(sources), key=lambda pair: pair[0]))
        active: list[tuple[str, int, Record, Iterator[Record]]] = []
        turn = 0
        while waiting or active:
            while waiting and (not active or waiting[0][0] <= active[0][0]):
                _push(active, turn, self._ordered(waiting.popleft()[1]))
                turn += 1
            if not active:
                continue
            _, its_turn, record, rest = heapq.heappop(active)
            yield record
            _push(active, its_turn, rest)

    def _of_interest(self, sources: list[Source]) -> Iterator[tuple[str, Source]]:
        query = self.query
        for source in sources:
            rotated = source.name.rotated_at
            if rotated is not None and key_of(rotated).encode() < query.earliest:
                continue
            first = source.first_stamp()
            if not (query.latest and first > query.latest):
                yield first.decode(), source

    def _ordered(self, source: Source) -> Iterator[Record]:
        held: list[tuple[str, int, Record]] = []
        for number, record in enumerate(self._unordered(source)):
            if len(held) < _REORDERED:
                heapq.heappush(held, (record.key, number, record))
            else:
                yield heapq.heappushpop(held, (record.key, number, record))[2]
        while held:
            yield heapq.heappop(held)[2]

    def _unordered(self, source: Source) -> Iterator[Record]:
        component = source.name.component
        needles: list[Needle] | None = None
        try:
            for block in source.blocks(self.query.earliest, self.query.latest):
                if needles is None:
                    needles = _rarest_first(self.query.needles(component), block)
                yield from self.records_of(block, source.path, component, needles)
        except DamagedFileError:
            self.unreadable[source.path] += 1


def _newest(found: Iterator[Record], limit: int) -> Iterator[Record]:
    yield from deque(found, maxlen=limit)


def _push(
    active: list[tuple[str, int, Record, Iterator[Record]]], turn: int, rest: Iterator[Record]
) -> None:
    record = next(rest, None)
    if record is not None:
        heapq.heappush(active, (record.key, turn, record, rest))


def _by_key(record: Record) -> str:
    return record.key


def _all_sound(block: bytes) -> bool:
    """Whether each line looks like one of ours, without looking at each."""
    return (
        block.startswith(START)
        and block.endswith((b"}\n", b"}"))
        and _UNSOUND.search(block, 0, len(block) - 1) is None
    )


def _rarest_first(needles: Sequence[Needle], block: bytes) -> list[Needle]:
    """`needles`, those first that `block` has least often."""
    return sorted(needles, key=lambda needle: needle.count(block))


def _lines_with(block: bytes, needles: Sequence[Needle]) -> Iterator[bytes]:
    """The lines of `block` that have all `needles`, in order.

    The first is looked for in the whole block, the others in the lines found.
    """
    first, *others = needles
    for start, end in first.lines(block):
        line = block[start:end]
        if _has_all(line, others):
            yield line


def _has_all(line: bytes, needles: Sequence[Needle]) -> bool:
    return all(needle.is_in(line) for needle in needles)


def _is_one_of_ours(line: bytes) -> bool:
    return starts_like_ours(line) and line.count(START) == 1


def _parse(line: bytes) -> tuple[str, dict[str, Any]] | None:
    try:
        data = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    key = sort_key(data.get("timestamp")) if isinstance(data, dict) else None
    return None if key is None else (key, data)
