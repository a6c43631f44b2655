"""Which lines a search wants: quick looks at the bytes first, the parsed line last."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

import msgspec

from holdfast.errors import UsageError
from holdfast.logs.lines import LEVELS, key_of
from holdfast.logs.logger import level_number
from holdfast.logs.needles import AnyText, Needle, OtherLevel

# Between being stamped and being written a line may be overtaken by others.
_SLACK = timedelta(seconds=60)
_SPECIAL_IN_JSON = re.compile(r"[^ -~]|[\"\\/<>&'+]")
_SEED_KEYS = frozenset(("timestamp", "component", "level", "task_id"))


@dataclass(frozen=True)
class Query:
    """The conditions of a search; all must hold. See `holdfast.logs.search`."""

    components: Sequence[str] = ()
    level: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    task: str | None = None
    grep: str | None = None

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            if moment is not None and moment.tzinfo is None:
                raise UsageError("a time without a time zone", hint="use datetime.now(UTC)")
        _ = self.levels, self.pattern

    @cached_property
    def levels(self) -> frozenset[str] | None:
        """The names of the levels from `level` up; None for all."""
        if self.level is None:
            return None
        lowest = level_number(self.level)
        return frozenset(name for name, number in LEVELS.items() if number >= lowest)

    @cached_property
    def pattern(self) -> re.Pattern[str] | None:
        """`grep`, compiled. Raises `UsageError`."""
        try:
            return None if self.grep is None else re.compile(self.grep)
        except re.error as error:
            raise UsageError(f"{self.grep!r} is no regular expression: {error}") from error

    @cached_property
    def since_key(self) -> str:
        return "" if self.since is None else key_of(self.since)

    @cached_property
    def until_key(self) -> str:
        return "" if self.until is None else key_of(self.until)

    @cached_property
    def earliest(self) -> bytes:
        """A whole file or block whose times are all before this holds nothing of interest."""
        return b"" if self.since is None else _shifted(self.since, -_SLACK)

    @cached_property
    def latest(self) -> bytes:
        """A whole file or block whose times are all after this holds nothing of interest."""
        return b"" if self.until is None else _shifted(self.until, _SLACK)

    def needles(self, file_component: str) -> list[Needle]:
        """For each condition that bytes can tell: what a wanted line has.

        So it is for lines that begin as ours do.
        """
        needles: list[Needle] = []
        if self.levels is not None and len(self.levels) < len(LEVELS):
            needles.append(OtherLevel(LEVELS.keys() - self.levels))
        if self.task is not None and not _SPECIAL_IN_JSON.search(self.task):
            needles.append(AnyText([f'"{self.task}']))
        plain = self.grep is not None and re.escape(self.grep).replace("\\ ", " ") == self.grep
        if self.grep and plain and not _SPECIAL_IN_JSON.search(self.grep):
            needles.append(AnyText([self.grep]))
        by_name = self.components and not any(map(_glob, self.components))
        if by_name and not self._names(file_component):
            needles.append(AnyText(f'"{name}"' for name in self.components))
        return needles

    def wants(self, key: str, data: dict[str, Any], file_component: str) -> bool:
        """Whether the parsed line `data`, of the time `key`, meets all conditions."""
        if key < self.since_key or (self.until_key and key >= self.until_key):
            return False
        if self.levels is not None and str(data.get("level")).upper() not in self.levels:
            return False
        if self.components and not (
            self._names(file_component) or self._names(str(data.get("component")))
        ):
            return False
        if self.task is not None and not belongs(data.get("task_id"), self.task):
            return False
        return self.pattern is None or _holds(self.pattern, data)

    def _names(self, component: str) -> bool:
        return any(fnmatchcase(component, wanted) for wanted in self.components)


def _glob(name: str) -> bool:
    return any(sign in name for sign in "*?[") or _SPECIAL_IN_JSON.search(name) is not None


def belongs(task_id: Any, wanted: str) -> bool:
    """Whether `task_id` is `wanted` or a step of the run `wanted`."""
    return isinstance(task_id, str) and (task_id == wanted or task_id.startswith(f"{wanted}:"))


def _holds(pattern: re.Pattern[str], data: dict[str, Any]) -> bool:
    for key, value in data.items():
        if key in _SEED_KEYS:
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        if pattern.search(text):
            return True
    return False


def _shifted(moment: datetime, by: timedelta) -> bytes:
    try:
        return key_of(moment + by).encode()
    except OverflowError:
        return key_of(moment).encode()
