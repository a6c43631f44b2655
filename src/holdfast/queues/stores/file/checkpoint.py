"""The lines of a ledger's checkpoint: the state, then each message that is not simply in line."""

import msgspec

from holdfast.queues.stores.schedule import BLOCKED, DEAD, DELAYED, LEASED, READY, Entry

_PLACES = {
    READY: "ready",
    DELAYED: "delayed",
    LEASED: "leased",
    DEAD: "dead",
    BLOCKED: "blocked",
}
_PLACE_OF = {name: place for place, name in _PLACES.items()}


class StateRecord(msgspec.Struct, rename="camel"):
    """Everything of a queue but its messages; `cursor` is segment, offset, messages before it.

    `fed` is the position in its topic's log up to which a subscription was fed.
    """

    cursor: tuple[int, int, int]
    last_token: int
    last_side: int
    paused: bool
    format_version: int = 1
    fed: int = 0


class EntryRecord(msgspec.Struct, rename="camel", omit_defaults=True):
    """One message; times in seconds. Its payload follows, or lies at `segment`, `offset`."""

    id: int
    at: float
    place: str
    priority: int = 0
    due: float = 0.0
    attempts: int = 0
    token: int = 0
    until: float = 0.0
    lease: float = 0.0
    key: str | None = None
    reason: str | None = None
    segment: int = 0
    offset: int = 0
    length: int = 0
    group: str | None = None
    position: int = 0
    given: str | None = None


def record_of(entry: Entry) -> bytes:
    """The record of `entry`."""
    # Ready with a token: its lease ran out, which everybody finds out by the clock.
    place = LEASED if entry.place == READY and entry.token else entry.place
    fields = EntryRecord(
        entry.id,
        entry.at,
        _PLACES[place],
        entry.priority,
        entry.due,
        entry.attempts,
        entry.token,
        entry.until,
        entry.lease,
        entry.key,
        entry.reason,
        *(entry.location if entry.segment else (0, 0, 0)),
        entry.group,
        entry.position,
        entry.given,
    )
    inline = b"null" if entry.segment or entry.payload is None else entry.payload
    return b'["entry",%b,%b]' % (msgspec.json.encode(fields), inline)


def entry_of(fields: EntryRecord, payload: bytes) -> tuple[Entry, int]:
    """The entry of a record and its place. Raises `KeyError` for an unknown place."""
    entry = Entry(
        fields.id,
        fields.at,
        payload=None if fields.segment else payload,
        location=(fields.segment, fields.offset, fields.length),
        priority=fields.priority,
        due=fields.due,
        key=fields.key,
        group=fields.group,
        position=fields.position,
    )
    entry.attempts = fields.attempts
    entry.token = fields.token
    entry.until = fields.until
    entry.lease = fields.lease
    entry.reason = fields.reason
    entry.given = fields.given
    return entry, _PLACE_OF[fields.place]
