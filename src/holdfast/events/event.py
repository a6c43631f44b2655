"""An event in hand, what is stored of it, and how old data is brought up to date."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import msgspec

from holdfast.errors import CorruptError, NewerFormatError, UnreadableError, UsageError
from holdfast.events.store import StoredEvent

T = TypeVar("T")
Upcaster = Callable[[Any], Any]

_NAME_LENGTH = 255  # characters; an index of PostgreSQL takes no more than 2,700 bytes


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What is stored of an event besides its place.

    `v` is the version of its data's shape; `key` makes its append repeatable.
    """

    data: Any
    at: float
    task: str | None = None
    meta: dict[str, Any] | None = None
    v: int = 1
    key: str | None = None


class Event(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """Something that happened.

    `position` counts all events of the log from 1, `version` those of its stream. `recorded_at` is
    in seconds of the epoch. `task_id` is the task in which it was appended.
    """

    position: int
    stream: str
    version: int
    type: str
    data: Any
    recorded_at: float
    task_id: str | None = None
    metadata: dict[str, Any] | None = None

    def data_as(self, type_: "Callable[..., T]") -> T:
        """The data as a `type_` (a `msgspec.Struct`, a dataclass, …). Raises `UnreadableError`."""
        try:
            return msgspec.convert(self.data, cast(Any, type_))  # type: ignore[no-any-return]
        except msgspec.ValidationError as error:
            raise UnreadableError(
                f"event {self.position} ({self.type}) is no {type_!r}: {error}",
                hint="register an upcaster for old data, or read event.data as it is",
            ) from error


class Shapes:
    """How the data of each event type changed: functions from version n to version n + 1."""

    def __init__(self) -> None:
        self._steps: dict[str, list[Upcaster]] = {}

    def add(self, type_: str, version: int, step: Upcaster) -> None:
        """`step` brings data of `version` to the next one. Raises `UsageError` out of order."""
        steps = self._steps.setdefault(type_, [])
        if version != len(steps) + 1:
            raise UsageError(
                f"the next upcaster of {type_!r} is from version {len(steps) + 1}, not {version}"
            )
        steps.append(step)

    def current(self, type_: str) -> int:
        """The version that data of this type has when it is appended now."""
        return 1 + len(self._steps.get(type_, ()))

    def up_to_date(self, stored: StoredEvent, envelope: Envelope) -> Any:
        """The data of the envelope in the current shape. Raises `NewerFormatError`."""
        steps = self._steps.get(stored[3], ())
        if envelope.v > len(steps) + 1:
            raise NewerFormatError(
                f"event {stored[0]} ({stored[3]}) has data of version {envelope.v};"
                f" this program knows {len(steps) + 1}",
                hint="run the newer program, or register its upcasters",
            )
        data = envelope.data
        for step in steps[envelope.v - 1 :]:
            data = step(data)
        return data

    def events(self, rows: list[StoredEvent]) -> list[Event]:
        """The events of what an engine holds."""
        envelopes = _decode(rows)
        if not self._steps and all([envelope.v == 1 for envelope in envelopes]):  # noqa: C419
            return [
                Event(row[0], row[1], row[2], row[3], one.data, one.at, one.task, one.meta)
                for row, one in zip(rows, envelopes, strict=True)
            ]
        return [
            Event(*row[:4], self.up_to_date(row, one), one.at, one.task, one.meta)
            for row, one in zip(rows, envelopes, strict=True)
        ]


def encode(envelope: Envelope, type_: str) -> bytes:
    """The bytes to be stored. Raises `UsageError` for data that JSON cannot hold."""
    try:
        return _encode(envelope)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise UsageError(
            f"the data of {type_!r} cannot be written as JSON: {error}",
            hint="use dicts, lists, texts, numbers, booleans, None, msgspec structs or dataclasses",
        ) from error


def check_name(name: str, what: str) -> str:
    """`name` if every engine can hold it; else `UsageError`."""
    if not 0 < len(name) <= _NAME_LENGTH or not name.isprintable():
        raise UsageError(
            f"{name!r} cannot be a {what}",
            hint=f"use 1 to {_NAME_LENGTH} characters, none of them a control character",
        )
    return name


def check_names(names: Iterable[str] | None, what: str) -> frozenset[str] | None:
    """The names, each checked; None stays None."""
    if names is None:
        return None
    if isinstance(names, str):
        raise UsageError(f"{what}s come as a list: [{names!r}]")
    return frozenset(check_name(name, what) for name in names)


def keys_of(rows: list[StoredEvent]) -> dict[int, str]:
    """The keys of those events that have one, by version."""
    found = zip(rows, _decode(rows), strict=True)
    return {row[2]: envelope.key for row, envelope in found if envelope.key is not None}


_encode = msgspec.json.Encoder().encode
_decode_one = msgspec.json.Decoder(Envelope).decode
_decode_all = msgspec.json.Decoder(list[Envelope]).decode


def _decode(rows: list[StoredEvent]) -> list[Envelope]:
    """The envelopes of all rows; in one call, for speed."""
    try:
        envelopes = _decode_all(b"[" + b",".join([row[4] for row in rows]) + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        envelopes = []
    if len(envelopes) == len(rows):
        return envelopes
    for position, stream, version, _, body in rows:
        try:
            _decode_one(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptError(
                f"event {position} (version {version} of {stream!r}) is damaged: {error}",
                hint="restore the event log from a backup; nothing was changed",
            ) from error
    raise CorruptError("the bodies of events run into each other", hint="restore from a backup")
