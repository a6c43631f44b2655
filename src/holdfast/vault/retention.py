"""Retention: which snapshots to keep, by how many of each hour, day, week, month and year."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from holdfast.errors import UsageError
from holdfast.vault.reports import SnapshotInfo


@dataclass(frozen=True)
class Retention:
    """How many snapshots to keep of each tree; what no rule keeps is forgotten.

    `last` keeps the newest ones; `hourly` the newest one of each of that many hours in which there
    was a snapshot, and so on (local time, ISO weeks). `tags` keeps all that bear one of them. The
    newest snapshot of each tree is always kept.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        counts = (self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly)
        if min(counts) < 0:
            raise UsageError("a number of snapshots to keep cannot be negative")
        if not any(counts) and not self.tags:
            raise UsageError("no rule says what to keep", hint="e.g. --keep-last 10")

    def to_forget(self, snapshots: Sequence[SnapshotInfo]) -> list[SnapshotInfo]:
        """Those of `snapshots` (oldest first) that no rule keeps; damaged ones are left alone.

        A partial one stays until there is a newer one of the same tree.
        """
        trees: defaultdict[tuple[str, str], list[SnapshotInfo]] = defaultdict(list)
        newest: dict[tuple[str, str], SnapshotInfo] = {}
        for info in snapshots:
            if info.damage is None:
                newest[info.host, info.root] = info
                if not info.partial:
                    trees[info.host, info.root].append(info)
        kept = {info.id for info in newest.values() if info.partial}
        kept |= {info.id for tree in trees.values() for info in self._kept(tree[::-1])}
        return [info for info in snapshots if info.damage is None and info.id not in kept]

    def _kept(self, newest_first: list[SnapshotInfo]) -> list[SnapshotInfo]:
        kept = newest_first[: max(self.last, 1)]
        kept += [info for info in newest_first if not set(self.tags).isdisjoint(info.tags)]
        for period, count in (
            (_hour, self.hourly),
            (_day, self.daily),
            (_week, self.weekly),
            (_month, self.monthly),
            (_year, self.yearly),
        ):
            kept += _newest_of_each(newest_first, period, count)
        return kept


Period = Callable[[datetime], tuple[int, ...]]


def _newest_of_each(
    newest_first: list[SnapshotInfo], period: Period, count: int
) -> list[SnapshotInfo]:
    chosen: dict[tuple[int, ...], SnapshotInfo] = {}
    for info in newest_first:
        chosen.setdefault(period(info.started_at.astimezone()), info)
    return list(chosen.values())[:count]


def _hour(moment: datetime) -> tuple[int, ...]:
    # With the offset: the hour that summer time repeats is two hours.
    offset = moment.utcoffset()
    return (*_day(moment), moment.hour, 0 if offset is None else int(offset.total_seconds()))


def _day(moment: datetime) -> tuple[int, ...]:
    return moment.year, moment.month, moment.day


def _week(moment: datetime) -> tuple[int, ...]:
    return moment.isocalendar()[:2]


def _month(moment: datetime) -> tuple[int, ...]:
    return moment.year, moment.month


def _year(moment: datetime) -> tuple[int, ...]:
    return (moment.year,)
