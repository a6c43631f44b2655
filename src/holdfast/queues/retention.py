"""How much of a topic's log is kept for subscriptions to come and for replays."""

from bisect import bisect_left
from datetime import datetime

import msgspec

from holdfast.errors import UsageError
from holdfast.queues.store import TopicStore


class Retention(msgspec.Struct, frozen=True, omit_defaults=True):
    """The log keeps what was put in the last `seconds`, and of that the last `count` messages.

    None: no such limit. What a subscription has yet to get is kept in any case.
    """

    seconds: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if self.seconds is not None and not 0 < self.seconds < 1e10:
            raise UsageError("a retention of some seconds needs a number above 0")
        if self.count is not None and self.count < 0:
            raise UsageError("a retention of some messages needs a count of at least 0")


DEFAULT = Retention(seconds=7 * 86400.0)

Start = int | datetime | str
"""Where a subscription begins: ``"all"`` that is kept, ``"new"`` messages only, a position (after
it), or a moment (what was put then or later)."""


def trim(log: TopicStore, retention: Retention, now: float) -> None:
    """Forget what is beyond the retention; costs the same however long the log is."""
    before, last = log.bounds()
    upto = before
    if retention.count is not None:
        upto = max(upto, last - retention.count)
    if retention.seconds is not None:
        first = log.read_after(upto, 1)
        if first and first[0].at < now - retention.seconds:
            upto = position_at(log, now - retention.seconds)
    if upto > before:
        log.trim(upto)


def position_at(log: TopicStore, moment: float) -> int:
    """The position after which the messages were put at `moment` (seconds) or later.

    Found by bisection; where the clock was set back it is one of the places that fit.
    """
    before, last = log.bounds()

    def put_at(position: int) -> float:
        entry = log.read_after(position - 1, 1)
        return entry[0].at if entry else float("inf")

    return before + bisect_left(range(before + 1, last + 1), moment, key=put_at)


def position_of(log: TopicStore, start: Start) -> int:
    """The position that `start` means now. Raises `UsageError`."""
    before, last = log.bounds()
    if start == "all":
        return before
    if start == "new":
        return last
    if isinstance(start, datetime):
        if start.tzinfo is None:
            raise UsageError("the moment needs a time zone", hint="datetime.now(UTC)")
        return position_at(log, start.timestamp())
    if isinstance(start, bool) or not isinstance(start, int) or start < 0:
        raise UsageError(
            f"{start!r} is no place in a topic", hint="use 'all', 'new', a position or a datetime"
        )
    return min(start, last)
