"""What became of the messages of a file queue: takes, acks, nacks, and messages beside the line.

``ledger/00000001.jsonl`` holds sealed lines (see `holdfast.durable.journal`). It starts with a
checkpoint of everything up to there, so that opening a queue reads this one file, whose length does
not depend on the backlog: messages that simply stand in line are only in ``messages/``. Records::

    ["state",{…}]  then one ["entry",{…},payload|null] for each message not simply in line
    ["take",token,now,lease,[segment,offset,n],[[n,segment,offset,length,at],…],[id,…]]
    ["put",id,at,due,priority,key,payload]       beside the line: delayed, prioritised or with a key
    ["grouped",id,at,due,priority,key,group,payload]         the same, in a group
    ["ack",id,…]   ["nack",id,due,reason]   ["extend",id,now,lease]   ["dead",id,reason]
    ["release",id,…]                             given back as if never taken
    ["requeue",id,…]   ["pause",bool]   ["purge",[segment,offset,n]]
    ["feed",upto,now,[[id,due,priority,key,group,position,payload],…]]   into a subscription
    ["moved",paused,[[{…},payload],…]]           a queue of another engine, into this empty one
    ["seek",position]                            a subscription replays from there
    ["roll",2]                                   last: it goes on in ledger 2

The roll line is the commit; the next file is derived from the state before it by whoever needs it
first. Fully settled message segments and older ledgers are then removed; the few messages still
wanted from a large old segment are carried over into the checkpoint.
"""

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from holdfast.durable.appending import AppendFile, NumberedFile
from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder, write_atomic
from holdfast.durable.journal import parse, read_journal, seal
from holdfast.durable.locks import QuickLock
from holdfast.durable.names import long_path
from holdfast.errors import (
    ConflictError,
    CorruptError,
    NewerFormatError,
    UnreadableError,
    UsageError,
    storage_error,
)
from holdfast.queues.stores.file.checkpoint import EntryRecord, StateRecord, entry_of, record_of
from holdfast.queues.stores.file.messages import (
    FORMAT_VERSION,
    Cursor,
    MessageReader,
    segment_numbers,
    segment_path,
)
from holdfast.queues.stores.file.torn import cut_torn_tail
from holdfast.queues.stores.schedule import Entry, Schedule

_TAKES_AND_ACKS = (b'["take",', b'["ack",')

_decode = msgspec.json.Decoder().decode
_decode_put = msgspec.json.Decoder(
    tuple[str, int, float, float, int, str | None, msgspec.Raw]
).decode
_decode_grouped = msgspec.json.Decoder(
    tuple[str, int, float, float, int, str | None, str, msgspec.Raw]
).decode
_decode_feed = msgspec.json.Decoder(
    tuple[
        str,
        int,
        float,
        list[tuple[int, float, int, str | None, str | None, int, msgspec.Raw]],
    ]
).decode
_decode_entry = msgspec.json.Decoder(tuple[str, EntryRecord, msgspec.Raw]).decode
_decode_moved = msgspec.json.Decoder(tuple[str, bool, list[tuple[EntryRecord, msgspec.Raw]]]).decode
_decode_state = msgspec.json.Decoder(tuple[str, StateRecord]).decode


class Ledger:
    """The state of the queue, brought up to date on entering, under the consumers' lock.

    ::

        with ledger:
            entry = ledger.schedule.first_ready()
            ledger.write(b'["ack",1]')
            ledger.schedule.settle(entry)

    `write` first, then change `schedule`. An error in between drops the state, and the next one to
    enter reads it again.
    """

    def __init__(self, folder: Path, reader: MessageReader, *, limit: int, sync: bool) -> None:
        self.folder = folder
        self.schedule = Schedule()
        self.cursor = Cursor(1, 0, 0)
        self.last_side = 0
        self.fed = 0
        self.cut = 0
        make_folder(folder)
        self._lock = QuickLock(folder.parent / "take.lock")
        self._reader = reader
        self._limit = limit
        self._sync = sync
        self._out: NumberedFile | None = None
        self._valid = False
        self._checkpoint_bytes = 0

    def __enter__(self) -> "Ledger":
        self._lock.__enter__()
        try:
            out = self._out
            if out is None or not self._valid:
                self._load()
            elif out.file.size() != out.end:
                self._catch_up(out)
            elif out.end - self._checkpoint_bytes > max(self._limit, 2 * self._checkpoint_bytes):
                self._roll(out)
        except BaseException:
            self._valid = False
            self._lock.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and not issubclass(kind, (ConflictError, UsageError)):
            self._valid = False
        self._lock.__exit__(None, None, None)

    def write(self, record: bytes) -> tuple[int, int]:
        """Append one record; returns the position to `sync`. Raises `StorageError`."""
        out = self._out
        assert out is not None
        try:
            fault_point("queue.ledger.append")
            position = out.append(seal(record))
        except OSError as error:
            raise storage_error(error, out.file.path, "write to the queue's ledger") from error
        fault_point("queue.ledger.appended")
        return position

    def record(self, record: bytes) -> tuple[int, int]:
        """`write` a record and change the state as whoever reads it will."""
        position = self.write(record)
        self._apply(record, time.time())
        return position

    def sync(self, position: tuple[int, int]) -> None:
        """Return once all up to `position` survives a power cut, if that was asked for."""
        if self._sync and self._out is not None:
            self._out.sync(position)

    def close(self) -> None:
        """Close the files."""
        if self._out is not None:
            self._out.file.close()
            self._out = None
        self._lock.close()

    def _load(self) -> None:
        """Read the newest ledger from its checkpoint on; make the first one if there is none."""
        number = max([*segment_numbers(self.folder), 0])
        if number == 0:
            number = 1
            self._publish(1)
        self._open(number)

    def _open(self, number: int) -> None:
        file = AppendFile(segment_path(self.folder, number), create=False)
        if self._out is None:
            self._out = NumberedFile(number, file, 0)
        else:
            self._out.move_on(number, file, 0, sync=self._sync)
        self.schedule = Schedule()
        self._checkpoint_bytes = 0
        self._valid = True
        self._catch_up(self._out)

    def _catch_up(self, out: NumberedFile) -> None:
        """Apply what others wrote since. An unfinished last line is cut off."""
        size = out.file.size()
        if size < out.end:
            raise UnreadableError(
                f"the ledger has {size} bytes; {out.end} were read before",
                path=out.file.path,
                hint="restore the queue's folder from a backup",
            )
        start = out.end
        try:
            contents = parse(out.file.read(start, size - start), out.file.path)
        except CorruptError:
            read_journal(out.file.path)  # raises with the line counted from the beginning
            raise
        if contents.torn:
            self.cut += cut_torn_tail(out.file.path)
        self._apply_all(contents.records, out)
        out.end = start + contents.sound_length
        if start == 0 and not self._checkpoint_bytes:
            raise UnreadableError(
                "the ledger has no checkpoint",
                path=out.file.path,
                hint="restore the queue's folder from a backup",
            )
        if contents.records and contents.records[-1].startswith(b'["roll",'):
            self._succeed(out.number + 1)

    def _apply_all(self, records: list[bytes], out: NumberedFile) -> None:
        now = time.time()
        try:
            if all([record.startswith(_TAKES_AND_ACKS) for record in records]):  # noqa: C419
                self._apply_takes_and_acks(records, now)
            else:
                for record in records:
                    self._apply(record, now)
        except UnreadableError as error:
            error.path = out.file.path
            raise
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError, IndexError) as error:
            raise UnreadableError(
                f"not a record of a queue's ledger: {error!r}",
                path=out.file.path,
                hint="restore the queue's folder from a backup; nothing was changed",
            ) from error

    def _apply_takes_and_acks(self, records: list[bytes], now: float) -> None:
        """What other consumers did: most is acknowledged by now, and leaves no trace."""
        changes: list[list[Any]] = _decode(b"[%b]" % b",".join(records))
        acked = {id_ for change in changes if change[0] == "ack" for id_ in change[1:]}
        passed: set[int] = set()
        for change in changes:
            if change[0] == "ack":
                change = ["ack", *(id_ for id_ in change[1:] if id_ not in passed)]
            else:
                lined, beside = change[5], change[6]
                passed.update(one[0] for one in lined if one[0] in acked)
                change[5] = [one for one in lined if one[0] not in passed]
                change[6] = [id_ for id_ in beside if id_ not in passed]
            self._apply_change(change, now)

    def _apply(self, record: bytes, now: float) -> None:
        if record.startswith(b'["put",'):
            _, id_, at, due, priority, key, payload = _decode_put(record)
            self._apply_put(id_, at, due, priority, key, None, payload)
        elif record.startswith(b'["grouped",'):
            _, id_, at, due, priority, key, group, payload = _decode_grouped(record)
            self._apply_put(id_, at, due, priority, key, group, payload)
        elif record.startswith(b'["feed",'):
            _, upto, at, fed = _decode_feed(record)
            for id_, due, priority, key, grouped, position, payload in fed:
                self._apply_put(id_, at, due, priority, key, grouped, payload, position)
            self.fed = upto
        elif record.startswith(b'["moved",'):
            _, self.schedule.paused, taken = _decode_moved(record)
            for fields, payload in taken:
                self.last_side = max(self.last_side, -fields.id)
                self.schedule.add(*entry_of(fields, bytes(payload)))
        elif record.startswith(b'["entry",'):
            self._checkpoint_bytes += len(record)
            _, fields, payload = _decode_entry(record)
            self.schedule.add(*entry_of(fields, bytes(payload)))
        elif record.startswith(b'["state",'):
            self._checkpoint_bytes += len(record)
            self._apply_state(_decode_state(record)[1])
        else:
            self._apply_change(_decode(record), now)

    def _apply_put(
        self,
        id_: int,
        at: float,
        due: float,
        priority: int,
        key: str | None,
        group: str | None,
        payload: msgspec.Raw,
        position: int = 0,
    ) -> None:
        self.last_side = max(self.last_side, -id_)
        self.schedule.add(
            Entry(
                id_,
                at,
                payload=bytes(payload),
                priority=priority,
                due=due,
                key=key,
                group=group,
                position=position,
            )
        )

    def _apply_state(self, state: StateRecord) -> None:
        if state.format_version > FORMAT_VERSION:
            raise NewerFormatError(
                f"written in format {state.format_version}; this Holdfast reads up to"
                f" {FORMAT_VERSION}",
                hint="upgrade Holdfast; nothing was changed",
            )
        self.cursor = Cursor(*state.cursor)
        self.last_side = state.last_side
        self.fed = state.fed
        self.schedule.last_token = state.last_token
        self.schedule.paused = state.paused

    def _apply_change(self, change: list[Any], now: float) -> None:
        schedule = self.schedule
        entries = schedule.entries
        what = change[0]
        if what == "take":
            _, token, at, lease, cursor, lined, beside = change
            until = min(at, now) + lease
            self.cursor = Cursor(*cursor)
            for n, segment, offset, length, put_at in lined:
                entry = Entry(n, put_at, location=(segment, offset, length))
                schedule.enter(entry)
                schedule.lease(entry, token, until, lease)
            for id_ in beside:
                schedule.lease(entries[id_], token, until, lease)
            schedule.last_token = token
        elif what == "ack":
            for id_ in change[1:]:
                schedule.settle(entries[id_])
        elif what == "nack":
            schedule.release(entries[change[1]], change[2], change[3])
        elif what == "extend":
            schedule.extend(entries[change[1]], min(change[2], now) + change[3], change[3])
        elif what == "release":
            for id_ in change[1:]:
                schedule.untake(entries[id_])
        elif what == "dead":
            schedule.bury(entries[change[1]], change[2])
        elif what == "requeue":
            for id_ in change[1:]:
                schedule.revive(entries[id_])
        elif what == "pause":
            schedule.paused = change[1]
        elif what == "purge":
            schedule.clear()
            self.cursor = Cursor(*change[1])
        elif what == "seek":
            schedule.rewind(change[1])
            self.fed = change[1]
        elif what != "roll":
            raise NewerFormatError(
                f"a record of an unknown kind, {what!r}",
                hint="upgrade Holdfast; nothing was changed",
            )

    def _roll(self, out: NumberedFile) -> None:
        self.write(b'["roll",%d]' % (out.number + 1))
        fault_point("queue.ledger.rolled")
        self._succeed(out.number + 1)

    def _succeed(self, number: int) -> None:
        """Go on in ledger `number`, derived from the state now if nobody did it yet.

        Others may be further already, and may have removed that one as used up.
        """
        newest = segment_numbers(self.folder)[-1]
        if newest < number:
            self._publish(number)
        self._open(max(newest, number))
        self._remove_unneeded()

    def _publish(self, number: int) -> None:
        """Write the checkpoint of the state now as the beginning of ledger `number`, fsync'd."""
        self._carry_over()
        state = StateRecord(
            self.cursor,
            self.schedule.last_token,
            self.last_side,
            self.schedule.paused,
            fed=self.fed,
        )
        lines = [seal(msgspec.json.encode(("state", state)))]
        lines.extend(seal(record_of(entry)) for entry in self.schedule.in_checkpoint_order())
        write_atomic(segment_path(self.folder, number), b"".join(lines), durability="power")
        fault_point("queue.checkpoint.written")

    def _carry_over(self) -> None:
        """Take the payloads of nearly settled segments into memory, so that these can go."""
        wanted: dict[int, list[Entry]] = {}
        for entry in self.schedule.entries.values():
            if 0 < entry.segment < self.cursor.segment:
                wanted.setdefault(entry.segment, []).append(entry)
        for number, entries in wanted.items():
            size = long_path(segment_path(self._reader.folder, number)).stat().st_size
            if 4 * sum(entry.length for entry in entries) <= size:
                for entry in entries:
                    entry.payload = self._reader.payload(*entry.location)
                    entry.segment = 0

    def _remove_unneeded(self) -> None:
        """Remove older ledgers and message segments nothing refers to; what is open stays."""
        assert self._out is not None
        wanted = {entry.segment for entry in self.schedule.entries.values()}
        doomed = [
            segment_path(self.folder, number)
            for number in segment_numbers(self.folder)
            if number < self._out.number
        ]
        for number in segment_numbers(self._reader.folder):
            if number < self.cursor.segment and number not in wanted:
                self._reader.forget(number)
                doomed.append(segment_path(self._reader.folder, number))
        for path in doomed:
            remove_used_up(path)
            fault_point("queue.compacted")


def remove_used_up(path: Path) -> None:
    """Remove a file that nobody needs any more; what another process has open stays for now."""
    try:
        long_path(path).unlink(missing_ok=True)
    except PermissionError:
        return  # Windows: another process has it open; the next roll finds it again
    except OSError as error:
        raise storage_error(error, path, "remove the used-up file") from error
