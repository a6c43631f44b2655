"""Messages of another engine as rows of the SQL engines, and back."""

from collections.abc import Sequence
from typing import Any, Literal

from holdfast.queues.store import MovedMessage

EXPORTED = (
    'id, payload, attempts, at, held, reason, given, place, rank, due, key, "group", position'
)
TAKEN_OVER = (
    'place, rank, due, at, attempts, leases, held, died, key, "group", reason, position, given,'
    " payload"
)

Place = Literal["waiting", "blocked", "leased", "dead"]


def moved(row: Sequence[Any], id_: str, died: int, now: float) -> MovedMessage:
    """The message of a row of `EXPORTED`, whose own id is `id_`."""
    _, payload, attempts, at, held, reason, given, place, rank, due, key, group, position = row
    in_force = place == "leased" and due > now
    kept: Place = "leased" if in_force else place if place in ("blocked", "dead") else "waiting"
    return MovedMessage(
        given or id_,
        payload if isinstance(payload, bytes) else payload.encode(),
        at,
        kept,
        -rank,
        due if place in ("delayed", "blocked") and due > now else 0.0,
        key,
        group,
        position or 0,
        attempts,
        bool(held) and not in_force,
        reason,
        died,
    )


def row_of(message: MovedMessage) -> tuple[Any, ...]:
    """The row of `TAKEN_OVER` for a message; the payload is last, as bytes."""
    place: str = message.place
    if place == "waiting":
        place = "delayed" if message.due else "ready"
    return (
        *(place, -message.priority, message.due, message.at, message.attempts),
        *(int(message.lapsed), message.lapsed, message.died or None, message.key, message.group),
        *(message.reason, message.position or None, message.id, message.payload),
    )
