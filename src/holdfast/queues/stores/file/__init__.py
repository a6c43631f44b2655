"""``file:///dir``: durable queues in plain files, shared by any number of processes.

::

    <dir>/<queue>/
        queue.json              the queue's id and format version
        messages/00000001.jsonl every plain put, in order          written under put.lock
        ledger/00000001.jsonl   a checkpoint, then takes and acks   written under take.lock
        torn/                   unfinished lines of killed writers, cut off and kept

Producers and consumers do not wait for each other, and neither reads the other's file whole: a put
looks at the last line only, a take moves a cursor. Where both locks are needed, take.lock is first.
"""

import heapq
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import Durability, make_folder
from holdfast.durable.names import long_path
from holdfast.errors import ConflictError, NotFoundError
from holdfast.queues.store import MovedMessage, NewMessage, Stats, StoredMessage
from holdfast.queues.stores.file.ledger import Ledger
from holdfast.queues.stores.file.messages import Cursor, Found, MessageReader, MessageWriter
from holdfast.queues.stores.file.moving import exported, moved_record
from holdfast.queues.stores.receipts import (
    id_text,
    parse_id,
    parse_receipt,
    receipt_text,
    stale,
)
from holdfast.queues.stores.schedule import BLOCKED, DEAD, DELAYED, LEASED, READY, Entry

SEGMENT_BYTES = 16 << 20
LEDGER_BYTES = 2 << 20

_text = msgspec.json.encode

_NOBODY = -1  # no process has the files open


class QueueDocument(msgspec.Struct, frozen=True, rename="camel"):
    """``queue.json``: the id that every receipt of the queue carries."""

    id: str
    format_version: int = 1


def queue_names(folder: Path) -> list[str]:
    """The queues below `folder`, sorted."""
    target = long_path(folder)
    if not target.is_dir():
        return []
    return sorted(path.name for path in target.iterdir() if (path / "queue.json").is_file())


class FileQueueStore:
    """The queue in `folder`, made if missing.

    `segment_bytes` and `ledger_bytes` say how large a file grows before the next one is begun.
    """

    def __init__(
        self,
        folder: Path,
        *,
        durability: Durability = "process",
        segment_bytes: int = SEGMENT_BYTES,
        ledger_bytes: int = LEDGER_BYTES,
    ) -> None:
        self.folder = folder
        self.durability = durability
        self._limits = (segment_bytes, ledger_bytes)
        self._open()

    def put(self, messages: Sequence[NewMessage], now: float) -> list[str]:
        self._after_fork()
        if not self._writer.is_open:
            with self._ledger as ledger:
                self._open_writer(ledger.cursor)
        if len(messages) == 1 and messages[0].plain:
            return [f"{self._id}-{self._writer.append((messages[0].payload,), now)}"]
        if messages and all(message.plain for message in messages):
            n = self._writer.append([message.payload for message in messages], now)
            return [id_text(self._id, number) for number in range(n, n + len(messages))]
        ids = []
        for message in messages:
            if message.plain:
                ids.append(id_text(self._id, self._writer.append([message.payload], now)))
            else:
                ids.append(id_text(self._id, self._put_beside(message, now)))
        return ids

    def take(self, limit: int, lease: float, max_attempts: int, now: float) -> list[StoredMessage]:
        self._after_fork()
        with self._ledger as ledger:
            schedule = ledger.schedule
            if schedule.paused:
                return []
            schedule.promote(now)
            cursor = ledger.cursor
            chosen: list[Found | Entry] = []
            while len(chosen) < limit:
                ready = schedule.first_ready()
                found = self._reader.first(cursor) if ready is None or ready.priority <= 0 else None
                if ready is not None and (found is None or ready.order < (0, found.at, found.n)):
                    schedule.pop_ready()
                    if ready.spent(max_attempts):
                        self._bury(ready, f"its lease ran out {ready.attempts} times")
                        schedule.promote(now)
                    else:
                        chosen.append(ready)
                elif found is not None:
                    chosen.append(found)
                    cursor = found.behind
                else:
                    break
            return self._lease(chosen, cursor, lease, now) if chosen else []

    def ack(self, receipts: Sequence[str], now: float) -> None:
        self._after_fork()
        with self._ledger as ledger:
            entries = [self._holder(receipt) for receipt in dict.fromkeys(receipts)]
            if not entries:
                return
            position = ledger.write(b'["ack",%b]' % _numbers(entries))
            for entry in entries:
                ledger.schedule.settle(entry)
        ledger.sync(position)

    def nack(
        self, receipt: str, due: float, reason: str | None, max_attempts: int, now: float
    ) -> None:
        self._after_fork()
        with self._ledger as ledger:
            entry = self._holder(receipt)
            if entry.attempts >= max_attempts:
                position = self._bury(entry, reason or f"given back {entry.attempts} times")
            else:
                position = ledger.write(_text(("nack", entry.id, due, reason)))
                ledger.schedule.release(entry, due, reason)
        ledger.sync(position)

    def release(self, receipts: Sequence[str], now: float) -> None:
        self._after_fork()
        with self._ledger as ledger:
            holders = [ledger.schedule.holder(*parse_receipt(one, self._id)) for one in receipts]
            entries = list(dict.fromkeys(entry for entry in holders if entry is not None))
            if not entries:
                return
            position = ledger.write(b'["release",%b]' % _numbers(entries))
            for entry in entries:
                ledger.schedule.untake(entry)
        ledger.sync(position)

    def extend(self, receipt: str, lease: float, now: float) -> None:
        self._after_fork()
        with self._ledger as ledger:
            entry = self._holder(receipt)
            ledger.write(_text(("extend", entry.id, now, lease)))
            ledger.schedule.extend(entry, now + lease, lease)

    def peek(self, limit: int, now: float) -> list[StoredMessage]:
        self._after_fork()
        with self._ledger as ledger:
            ledger.schedule.promote(now)
            beside = ledger.schedule.first(limit)
            shown: list[StoredMessage] = []
            line = self._reader.walk(ledger.cursor)
            found = next(line, None)
            while len(shown) < limit and (beside or found is not None):
                if found is None or (beside and beside[0].order < (0, found.at, found.n)):
                    shown.append(self._stored(beside.pop(0)))
                else:
                    shown.append(self._waiting(found))
                    found = next(line, None)
            return shown

    def dead(self, limit: int) -> list[StoredMessage]:
        self._after_fork()
        with self._ledger as ledger:
            return [self._stored(entry) for entry in ledger.schedule.dead()[:limit]]

    def requeue(self, ids: Sequence[str] | None, now: float) -> int:
        self._after_fork()
        with self._ledger as ledger:
            entries = ledger.schedule.dead() if ids is None else [self._dead(id_) for id_ in ids]
            if not entries:
                return 0
            position = ledger.write(b'["requeue",%b]' % _numbers(entries))
            for entry in entries:
                ledger.schedule.revive(entry)
        ledger.sync(position)
        return len(entries)

    def purge(self, keep: Callable[[Iterable[StoredMessage]], None], now: float) -> int:
        self._after_fork()
        count = 0
        with self._ledger as ledger:
            cursor = ledger.cursor

            def messages() -> Iterator[StoredMessage]:
                nonlocal count, cursor
                for entry in ledger.schedule.in_checkpoint_order():
                    count += 1
                    yield self._stored(entry)
                for found in self._reader.walk(cursor):
                    count += 1
                    cursor = found.behind
                    yield self._waiting(found)

            everything = messages()
            keep(everything)
            for _ in everything:  # what `keep` did not look at goes all the same
                pass
            position = ledger.write(_text(("purge", cursor)))
            ledger.schedule.clear()
            ledger.cursor = cursor
        ledger.sync(position)
        return count

    def pause(self, paused: bool) -> None:
        self._after_fork()
        with self._ledger as ledger:
            position = ledger.write(_text(("pause", paused)))
            ledger.schedule.paused = paused
        ledger.sync(position)

    def depth(self, limit: int) -> int:
        self._after_fork()
        with self._ledger as ledger:
            self._open_writer(ledger.cursor)
            in_line = self._in_line(self._reader.first(ledger.cursor))
            return min(limit, ledger.schedule.depth + in_line)

    def stats(self, now: float) -> Stats:
        self._after_fork()
        with self._ledger as ledger:
            schedule = ledger.schedule
            schedule.promote(now)
            self._open_writer(ledger.cursor)
            counts = schedule.counts
            waiting = [entry.at for entry in schedule.entries.values() if entry.place != DEAD]
            first = self._reader.first(ledger.cursor)
            if first is not None:
                waiting.append(first.at)
            return Stats(
                ready=counts[READY] + self._in_line(first),
                delayed=counts[DELAYED],
                leased=counts[LEASED],
                dead=counts[DEAD],
                paused=schedule.paused,
                oldest_age=max(0.0, now - min(waiting)) if waiting else None,
                blocked=counts[BLOCKED],
                recovered=ledger.cut + self._writer.cut,
            )

    def export(self, now: float) -> Iterator[MovedMessage]:
        self._after_fork()
        with self._ledger as ledger:
            beside = exported(ledger.schedule, self._payload, self._id, now)
            line = (
                ((found.at, found.n, found.n), self._in_line_moved(found))
                for found in self._reader.walk(ledger.cursor)
            )
            for _, message in heapq.merge(beside, line, key=lambda one: one[0]):
                yield message

    def take_over(self, messages: Iterable[MovedMessage], *, paused: bool) -> bool:
        self._after_fork()
        with self._ledger as ledger:
            if ledger.schedule.entries or self._reader.first(ledger.cursor) is not None:
                return False
            position = ledger.record(moved_record(messages, ledger.last_side, paused=paused))
        ledger.sync(position)
        return True

    def _open(self) -> None:
        self._process: int = os.getpid()
        make_folder(self.folder)
        self._id = _identity(self.folder)
        segment_bytes, ledger_bytes = self._limits
        sync = self.durability == "power"
        self._writer = MessageWriter(
            self.folder / "messages", segment_bytes=segment_bytes, sync=sync
        )
        self._reader = MessageReader(self.folder / "messages", self._writer.mend)
        self._ledger = Ledger(self.folder / "ledger", self._reader, limit=ledger_bytes, sync=sync)

    def _in_line(self, first: Found | None) -> int:
        """How many messages simply stand in line, of which `first` is the first."""
        return 0 if first is None else self._writer.last_number() - first.n + 1

    def _open_writer(self, cursor: Cursor) -> None:
        if not self._writer.is_open:
            self._writer.open(cursor)

    def close(self) -> None:
        """Close the files. Those opened by a parent process are the parent's.

        Closing twice does nothing; a call after it opens them again.
        """
        if self._process == os.getpid():
            self._process = _NOBODY
            self._writer.close()
            self._reader.close()
            self._ledger.close()

    def _after_fork(self) -> None:
        """A forked child shares its parent's descriptors, and so its locks: it opens its own."""
        if os.getpid() != self._process:
            self._open()

    def _put_beside(self, message: NewMessage, now: float) -> int:
        with self._ledger as ledger:
            known = ledger.schedule.with_key(message.key)
            if known is not None:
                return known
            number = -(ledger.last_side + 1)
            facts = (number, now, message.due, message.priority, message.key)
            head = _text(
                ("put", *facts) if message.group is None else ("grouped", *facts, message.group)
            )
            position = ledger.write(b"%b,%b]" % (head[:-1], message.payload))
            ledger.last_side += 1
            ledger.schedule.add(
                Entry(
                    number,
                    now,
                    payload=message.payload,
                    priority=message.priority,
                    due=message.due,
                    key=message.key,
                    group=message.group,
                )
            )
        ledger.sync(position)
        return number

    def _lease(
        self, chosen: list[Found | Entry], cursor: Cursor, lease: float, now: float
    ) -> list[StoredMessage]:
        ledger = self._ledger
        schedule = ledger.schedule
        token = schedule.last_token + 1
        lined = [b"[%d,%d,%d,%d,%.6f]" % one[:5] for one in chosen if isinstance(one, Found)]
        beside = [one for one in chosen if isinstance(one, Entry)]
        facts = (token, now, lease, *cursor, b",".join(lined), _numbers(beside))
        ledger.write(b'["take",%d,%.6f,%.6f,[%d,%d,%d],[%b],[%b]]' % facts)
        ledger.cursor = cursor
        taken = []
        for one in chosen:
            if isinstance(one, Entry):
                schedule.lease(one, token, now + lease, lease)
                taken.append(self._stored(one))
                continue
            entry = Entry(one.n, one.at, location=one[1:4])
            schedule.enter(entry)
            schedule.lease(entry, token, now + lease, lease)
            id_ = id_text(self._id, one.n)
            taken.append(StoredMessage(id_, one.payload, 1, one.at, f"{id_}-{token}"))
        return taken

    def _bury(self, entry: Entry, reason: str) -> tuple[int, int]:
        position = self._ledger.write(_text(("dead", entry.id, reason)))
        self._ledger.schedule.bury(entry, reason)
        return position

    def _holder(self, receipt: str) -> Entry:
        entry = self._ledger.schedule.holder(*parse_receipt(receipt, self._id))
        if entry is None:
            raise stale(receipt)
        return entry

    def _dead(self, id_: str) -> Entry:
        schedule = self._ledger.schedule
        entry = schedule.entries.get(parse_id(id_, self._id) or 0)
        if entry is None:
            entry = next((each for each in schedule.dead() if each.given == id_), None)
        if entry is None or entry.place != DEAD:
            raise NotFoundError(f"no dead letter has the id {id_!r}", path=self.folder)
        return entry

    def _payload(self, entry: Entry) -> bytes:
        payload = entry.payload if entry.segment == 0 else self._reader.payload(*entry.location)
        assert payload is not None
        return payload

    def _in_line_moved(self, found: Found) -> MovedMessage:
        return MovedMessage(id_text(self._id, found.n), found.payload, found.at)

    def _stored(self, entry: Entry) -> StoredMessage:
        payload = self._payload(entry)
        receipt = receipt_text(self._id, entry.id, entry.token) if entry.token else ""
        id_ = entry.given or id_text(self._id, entry.id)
        return StoredMessage(id_, payload, entry.attempts, entry.at, receipt, entry.reason)

    def _waiting(self, found: Found) -> StoredMessage:
        return StoredMessage(id_text(self._id, found.n), found.payload, 0, found.at)


def _numbers(entries: list[Entry]) -> bytes:
    return b",".join([b"%d" % entry.id for entry in entries])


def _identity(folder: Path) -> str:
    """The queue's id, made on its first opening. Raises `UnreadableError`, `NewerFormatError`."""
    path = folder / "queue.json"
    if not long_path(path).exists():
        with suppress(ConflictError):  # another process was faster
            write_document(path, QueueDocument(secrets.token_hex(4)), exclusive=True)
    return convert(read_document(path), QueueDocument).id
