"""Points in time as people type them."""

import re
from datetime import UTC, datetime, timedelta

from holdfast.errors import UsageError

_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_AGO = re.compile(r"(?:\d+(?:\.\d+)?[wdhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")
_HINT = "examples: 2h, 1d12h, today, yesterday, 2025-01-20, 2025-01-20T10:30, 2025-01-20T10:30:00Z"


def parse_time(text: str, *, now: datetime | None = None) -> datetime:
    """The moment (aware, UTC) that `text` means.

    ``2h``, ``30m``, ``1d12h`` ago (w, d, h, m, s); ``now``; ``today`` and ``yesterday`` at the
    beginning of that local day; an ISO date or time, local unless it ends in ``Z`` or an offset.
    Raises `UsageError`.
    """
    now = now or datetime.now(UTC)
    word = text.strip()
    days = {"today": 0, "yesterday": 1}
    try:
        if word.lower() == "now":
            return now
        if word.lower() in days:
            day = now.astimezone().date() - timedelta(days=days[word.lower()])
            return _local(datetime(day.year, day.month, day.day))  # noqa: DTZ001  made aware there
        if _AGO.fullmatch(word):
            ago = {_UNITS[unit]: 0.0 for unit in _UNITS}
            for amount, unit in _PART.findall(word):
                ago[_UNITS[unit]] += float(amount)
            return now - timedelta(**ago)
        return _local(datetime.fromisoformat(word))
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{text!r} is not a time", hint=_HINT) from error


def _local(moment: datetime) -> datetime:
    """`moment` in UTC; one without an offset is by the local clock of that day."""
    return moment.astimezone(UTC)
