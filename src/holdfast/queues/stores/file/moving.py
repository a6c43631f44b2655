"""A file queue on its way to another engine, and the ledger's record of one that came."""

from collections.abc import Callable, Iterable

from holdfast.queues.store import MovedMessage
from holdfast.queues.stores.file.checkpoint import record_of
from holdfast.queues.stores.receipts import id_text
from holdfast.queues.stores.schedule import (
    BLOCKED,
    DEAD,
    DELAYED,
    LEASED,
    READY,
    Entry,
    Schedule,
)

Order = tuple[float, int, int]
_PREFIX = len(b'["entry",')


def exported(
    schedule: Schedule, payload_of: Callable[[Entry], bytes], queue: str, now: float
) -> list[tuple[Order, MovedMessage]]:
    """What does not simply stand in line, each with its place in the order of putting."""
    ranks = {entry.id: rank for rank, entry in enumerate(schedule.dead(), 1)}
    found = []
    for entry in sorted(schedule.entries.values(), key=_order):
        in_force = entry.place == LEASED and entry.until > now
        message = MovedMessage(
            entry.given or id_text(queue, entry.id),
            payload_of(entry),
            entry.at,
            {DEAD: "dead", BLOCKED: "blocked"}.get(  # type: ignore[arg-type]
                entry.place, "leased" if in_force else "waiting"
            ),
            entry.priority,
            entry.due if entry.place in (READY, DELAYED, BLOCKED) and entry.due > now else 0.0,
            entry.key,
            entry.group,
            entry.position,
            entry.attempts,
            bool(entry.token) and not in_force,
            entry.reason,
            ranks.get(entry.id, 0),
        )
        found.append((_order(entry), message))
    return found


def moved_record(messages: Iterable[MovedMessage], last_side: int, *, paused: bool) -> bytes:
    """The record that puts all messages beside the line, numbered on from `last_side`.

    It is one line, so that it is there whole or not at all.
    """
    alive: list[tuple[int, Entry]] = []
    dead: list[tuple[int, Entry]] = []
    for number, message in enumerate(messages, last_side + 1):
        entry = _entry(message, -number)
        (dead if message.place == "dead" else alive).append((message.died, entry))
    dead.sort(key=lambda one: one[0])  # they are read back in the order they died
    entries = [b"[%b" % record_of(entry)[_PREFIX:] for _, entry in (*alive, *dead)]
    return b'["moved",%b,[%b]]' % (b"true" if paused else b"false", b",".join(entries))


def _entry(message: MovedMessage, number: int) -> Entry:
    entry = Entry(
        number,
        message.at,
        payload=message.payload,
        priority=message.priority,
        due=message.due,
        key=message.key,
        group=message.group,
        position=message.position,
    )
    entry.place = {"dead": DEAD, "blocked": BLOCKED}.get(
        message.place, DELAYED if message.due else READY
    )
    entry.attempts = message.attempts
    entry.token = int(message.lapsed)  # with a token it is kept as leased, until long ago
    entry.reason = message.reason
    entry.given = message.id
    return entry


def _order(entry: Entry) -> Order:
    return entry.at, abs(entry.id), entry.id
