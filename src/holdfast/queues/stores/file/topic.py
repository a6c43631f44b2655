"""A topic in plain files: a log in segments, and a file queue for each subscription.

::

    <dir>/<topic>/
        topic.json                     format version and settings
        messages/00000001.jsonl        the log: the format of a queue's messages; n is the position
        subscriptions/<name>/          a file queue whose ledger says how far it was fed

Who moves a cursor back or trims the log holds trim.lock; whole segments are removed.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import msgspec

from holdfast.durable.appending import AppendFile
from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability, make_folder, move, remove_tree
from holdfast.durable.journal import unseal
from holdfast.durable.locks import QuickLock
from holdfast.durable.names import long_path
from holdfast.errors import ConflictError, NotFoundError, UnreadableError
from holdfast.queues.store import LogEntry, MovedMessage, NewMessage
from holdfast.queues.stores.file import LEDGER_BYTES, FileQueueStore
from holdfast.queues.stores.file.ledger import remove_used_up
from holdfast.queues.stores.file.messages import (
    Cursor,
    MessageReader,
    MessageWriter,
    segment_numbers,
    segment_path,
)
from holdfast.queues.stores.subscriptions import no_subscription

SEGMENT_BYTES = 4 << 20
_PROBE = 1 << 16  # bytes read at once when a position is looked for

_NOWHERE = Cursor(0, 0, -1)

_encode = msgspec.json.encode

_NOBODY = -1  # no process has the files open


class TopicDocument(msgspec.Struct, frozen=True, rename="camel"):
    """``topic.json``."""

    settings: dict[str, Any] | None = None
    format_version: int = 1


class _Line(msgspec.Struct):
    n: int


def topic_names(folder: Path) -> list[str]:
    """The topics below `folder`, sorted."""
    target = long_path(folder)
    if not target.is_dir():
        return []
    return sorted(path.name for path in target.iterdir() if (path / "topic.json").is_file())


class FileSubscriptionStore(FileQueueStore):
    """The queue of one subscription in `folder`."""

    def cursor(self) -> tuple[int, bool]:
        self._after_fork()
        with self._ledger as ledger:
            return ledger.fed, ledger.schedule.paused

    def feed(self, messages: Sequence[NewMessage], after: int, upto: int, now: float) -> bool:
        self._after_fork()
        with self._ledger as ledger:
            if ledger.fed != after:
                return False
            keys: set[str] = set()
            lines: list[bytes] = []
            for message in messages:
                if message.key is not None:
                    if message.key in keys or ledger.schedule.with_key(message.key) is not None:
                        continue
                    keys.add(message.key)
                facts = (
                    -(ledger.last_side + len(lines) + 1),
                    message.due,
                    message.priority,
                    message.key,
                    message.group,
                    message.position,
                )
                lines.append(b"%b,%b]" % (_encode(facts)[:-1], message.payload))
            written = ledger.record(b'["feed",%d,%.6f,[%b]]' % (upto, now, b",".join(lines)))
        ledger.sync(written)
        return True

    def seek(self, position: int, now: float) -> None:
        self._after_fork()
        # Nobody trims meanwhile what is about to be needed again.
        with closing(_trim_lock(self.folder.parent.parent)) as lock, lock, self._ledger as ledger:
            written = ledger.record(b'["seek",%d]' % position)
        ledger.sync(written)


class FileTopicStore:
    """The topic in `folder`, made if missing."""

    def __init__(
        self,
        folder: Path,
        *,
        durability: Durability = "process",
        segment_bytes: int = SEGMENT_BYTES,
        ledger_bytes: int = LEDGER_BYTES,
    ) -> None:
        self.folder = folder
        self._options: dict[str, Any] = {
            "durability": durability,
            "segment_bytes": segment_bytes,
            "ledger_bytes": ledger_bytes,
        }
        make_folder(folder)
        if not long_path(folder / "topic.json").exists():
            with suppress(ConflictError):  # another process was faster
                write_document(folder / "topic.json", TopicDocument(), exclusive=True)
        self.settings()  # refuses a newer format
        self._open()

    def append(self, payloads: Sequence[bytes], now: float) -> list[int]:
        self._after_fork()
        if not payloads:
            return []
        first = self._writer.append(payloads, now)
        return list(range(first, first + len(payloads)))

    def read_after(self, position: int, limit: int) -> list[LogEntry]:
        self._after_fork()
        with self._reading:
            try:
                return self._read(position, limit)
            except (UnreadableError, NotFoundError):
                self._next = _NOWHERE  # trimmed meanwhile, or really unreadable
                return self._read(position, limit)

    def bounds(self) -> tuple[int, int]:
        self._after_fork()
        first = next(iter(self.read_after(0, 1)), None)
        last = self._writer.last_number()
        return (last if first is None else first.position - 1), last

    def trim(self, upto: int) -> None:
        self._after_fork()
        with closing(_trim_lock(self.folder)) as lock, lock:
            upto = min([upto, *self.cursors().values()])
            for number, following in pairwise(self._begun()):
                if self._before(following) > upto:
                    return
                with self._reading:
                    self._reader.forget(number)
                remove_used_up(segment_path(self._reader.folder, number))
                fault_point("queue.topic.trimmed")

    def settings(self) -> bytes | None:
        document = convert(read_document(self.folder / "topic.json"), TopicDocument)
        return None if document.settings is None else _encode(document.settings)

    def keep_settings(self, settings: bytes) -> None:
        document = TopicDocument(msgspec.json.decode(settings))
        write_document(self.folder / "topic.json", document)

    def subscribe(self, name: str, position: int) -> None:
        with closing(_trim_lock(self.folder)) as lock, lock:
            if name in self._names():
                return
            # Made aside: a subscription is there with its cursor, or it is not there.
            made = self._folder_of(f".new-{name}")
            remove_tree(made)  # a killed process may have left it
            with closing(FileSubscriptionStore(made, **self._options)) as store:
                store.feed((), 0, position, 0.0)
            fault_point("queue.topic.subscribed")
            move(made, self._folder_of(name))

    def unsubscribe(self, name: str) -> None:
        with closing(_trim_lock(self.folder)) as lock, lock:
            if name in self._names():
                gone = self._folder_of(f".gone-{name}")
                remove_tree(gone)
                move(self._folder_of(name), gone)
                remove_tree(gone)

    def put_entries(self, entries: Sequence[LogEntry], before: int) -> bool:
        self._after_fork()
        last = self._writer.last_number()
        if last not in (0, before):
            return False
        if last != before:
            self._begin_behind(before)
        for at, group in groupby(entries, key=lambda one: one.at):
            self._writer.append([one.payload for one in group], at)
        return True

    def take_over(
        self, name: str, position: int, messages: Iterable[MovedMessage], *, paused: bool
    ) -> bool:
        with closing(_trim_lock(self.folder)) as lock, lock:
            if name in self._names():
                return False
            made = self._folder_of(f".new-{name}")
            remove_tree(made)  # a killed process may have left it
            with closing(FileSubscriptionStore(made, **self._options)) as store:
                store.feed((), 0, position, 0.0)
                store.take_over(messages, paused=paused)
            fault_point("queue.topic.subscribed")
            move(made, self._folder_of(name))
            return True

    def cursors(self) -> dict[str, int]:
        cursors = {}
        for name in self._names():
            with closing(self.subscription(name)) as store:
                cursors[name] = store.cursor()[0]
        return cursors

    def subscription(self, name: str) -> FileSubscriptionStore:
        if name not in self._names():
            raise no_subscription(name)
        return FileSubscriptionStore(self._folder_of(name), **self._options)

    def _open(self) -> None:
        self._process: int = os.getpid()
        self._writer = self._open_writer(Cursor(1, 0, 0))
        fed = max(self.cursors().values(), default=0)
        if self._writer.last_number() < fed:
            # A power cut took entries that a subscription has: their positions are used up.
            self._begin_behind(fed)
        self._reader = MessageReader(self.folder / "messages", self._writer.mend)
        self._reading = threading.Lock()
        self._next = _NOWHERE

    def _begin_behind(self, position: int) -> None:
        """Go on in a new segment with the entry at ``position + 1``."""
        self._writer.close()
        newest = segment_numbers(self.folder / "messages")[-1]
        self._writer = self._open_writer(Cursor(newest, 1 << 62, position))

    def _open_writer(self, cursor: Cursor) -> MessageWriter:
        writer = MessageWriter(
            self.folder / "messages",
            segment_bytes=self._options["segment_bytes"],
            sync=self._options["durability"] == "power",
        )
        writer.open(cursor)
        return writer

    def close(self) -> None:
        """Close the files. Those opened by a parent process are the parent's.

        Closing twice does nothing; a call after it opens them again.
        """
        if self._process == os.getpid():
            self._process = _NOBODY
            self._writer.close()
            self._reader.close()

    def _after_fork(self) -> None:
        """A forked child shares its parent's descriptors, and so its locks: it opens its own."""
        if os.getpid() != self._process:
            self._open()

    def _read(self, position: int, limit: int) -> list[LogEntry]:
        cursor = self._next if self._next.n == position else self._find(position)
        entries: list[LogEntry] = []
        while len(entries) < limit and (found := self._reader.first(cursor)) is not None:
            if found.n > position:
                entries.append(LogEntry(found.n, found.at, found.payload))
            cursor = found.behind
        if entries:
            self._next = cursor
        return entries

    def _folder_of(self, name: str) -> Path:
        return self.folder / "subscriptions" / name

    def _names(self) -> list[str]:
        target = long_path(self.folder / "subscriptions")
        if not target.is_dir():
            return []
        return sorted(path.name for path in target.iterdir() if not path.name.startswith("."))

    def _find(self, position: int) -> Cursor:
        """Where the entries beyond `position` begin, or a little before."""
        numbers = self._begun()
        low, high = 0, len(numbers) - 1
        while low < high:  # the last segment that begins at or before the position
            middle = (low + high + 1) // 2
            if self._before(numbers[middle]) <= position:
                low = middle
            else:
                high = middle - 1
        segment = numbers[low]
        return Cursor(segment, self._offset_in(segment, position), position)

    def _offset_in(self, segment: int, position: int) -> int:
        """The offset of a line at or before the entry beyond `position`, found by bisection."""
        file = AppendFile(segment_path(self._reader.folder, segment), create=False)
        try:
            low, high = 0, file.size()
            while high - low > _PROBE:
                middle = (low + high) // 2
                line_at, n = _line_near(file, middle, high)
                if n is not None and n <= position:
                    low = line_at
                else:
                    high = middle
            return low
        finally:
            file.close()

    def _begun(self) -> list[int]:
        """The numbers of the segments, without one that is just being made."""
        numbers = segment_numbers(self._reader.folder)
        newest = long_path(segment_path(self._reader.folder, numbers[-1]))
        return numbers[:-1] if len(numbers) > 1 and newest.stat().st_size == 0 else numbers

    def _before(self, segment: int) -> int:
        """How many entries were put before this segment."""
        path = segment_path(self._reader.folder, segment)
        file = AppendFile(path, create=False)
        try:
            data = file.read(0, 256)
        finally:
            file.close()
        record = unseal(data[: data.find(b"\n") + 1])
        if record is None:
            raise UnreadableError("the segment does not begin with its header", path=path)
        return msgspec.json.decode(record, type=_Line).n


def _trim_lock(folder: Path) -> QuickLock:
    return QuickLock(folder / "trim.lock")


def _line_near(file: AppendFile, offset: int, end: int) -> tuple[int, int | None]:
    """The first whole line from `offset` on and the position in it; None when there is none."""
    size = _PROBE
    while True:
        data = file.read(offset, min(size, end - offset))
        start = data.find(b"\n") + 1
        stop = data.find(b"\n", start) + 1 if start else 0
        if stop:
            record = unseal(data[start:stop])
            known = None if record is None else msgspec.json.decode(record, type=_Line)
            return offset + start, None if known is None else known.n
        if len(data) >= end - offset:
            return offset, None
        size *= 8
