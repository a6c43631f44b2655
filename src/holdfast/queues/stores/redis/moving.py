"""A Redis queue on its way to another engine, and the other way round."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from holdfast.queues.store import MovedMessage


def exported(row: Sequence[Any], id_: str, died: int, now: float) -> MovedMessage:
    """The message of a row of the script's ``export``, whose own id is `id_`."""
    _, value, place, till, priority, due, key, group, position, attempts, held, reason, given = row
    at, _, payload = value.partition(b" ")
    in_force = place == b"leased" and float(till) > now
    delayed = place in (b"waiting", b"blocked") and float(due) > now
    kept: Any = "waiting" if place == b"leased" and not in_force else place.decode()
    return MovedMessage(
        _text(given) or id_,
        payload,
        float(at),
        kept,
        int(priority),
        float(due) if delayed else 0.0,
        _text(key),
        _text(group),
        int(float(position)),
        attempts,
        bool(held) and not in_force,
        _text(reason),
        died,
    )


def facts_of(message: MovedMessage) -> tuple[Any, ...]:
    """What the script's ``moved`` is told of a message besides its number."""
    value = b"%b %b" % (repr(message.at).encode(), message.payload)
    texts = [
        "" if text is None else f"={text}" for text in (message.key, message.group, message.reason)
    ]
    return (
        *(value, message.place, message.priority, repr(message.due), texts[0], texts[1]),
        *(message.position, message.attempts, int(message.lapsed), texts[2], message.id),
        message.died,
    )


def batched(messages: Iterable[MovedMessage], size: int) -> Iterator[list[MovedMessage]]:
    """The messages in lists of up to `size`."""
    rest = iter(messages)
    while batch := list(islice(rest, size)):
        yield batch


def _text(value: bytes) -> str | None:
    """A text of which the empty one is told from none."""
    return value[1:].decode() if value else None
