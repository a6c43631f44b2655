"""The line: the seed's keys in the seed's order, then whatever else was given.

``timestamp`` is UTC with six digits of a second and ``Z`` (readers also take none to nine digits,
or another offset), ``component``, ``level``, ``message``, ``task_id`` (null outside of a task),
then further keys. A further key called like one of the first four gets an underscore behind it; a
``task_id`` among them replaces the current task's.

A value is never a reason to fail. What JSON does not know is written as its text, NaN and the
infinities as null, a lone surrogate as its escape (``\\udc80``) in visible characters, and what
cannot even be turned into text as a note saying so.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}

# How each line of ours begins. Inside a JSON string the quotes are escaped, so this cannot occur
# there: where it stands in the middle of a line, a torn line is followed by a whole one.
START = b'{"timestamp":"'

_OWN_KEYS = frozenset(("timestamp", "component", "level", "message"))
_DEEPEST = 20
_STRICT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


def begin_second(second: int) -> bytes:
    """A line up to the fraction of the second; `second` counts from the epoch."""
    return time.strftime('{"timestamp":"%Y-%m-%dT%H:%M:%S.', time.gmtime(second)).encode()


def level_part(component: str, level: str) -> bytes:
    """A line from behind the fraction of the second up to the message."""
    return b'Z","component":%b,"level":"%b",' % (msgspec.json.encode(component), level.encode())


def free_keys(keys: Mapping[str, Any]) -> dict[str, Any]:
    """`keys` with those renamed that would clash with the line's own."""
    free: dict[str, Any] = {}
    for key, value in keys.items():
        name = key
        while name in _OWN_KEYS or (name != key and (name in keys or name in free)):
            name += "_"
        free[name] = value
    return free


def clashes(keys: Mapping[str, Any]) -> bool:
    """Whether `free_keys` has something to rename."""
    return not _OWN_KEYS.isdisjoint(keys)


def text_of(value: object) -> str:
    """`value` as text, whatever its own methods do."""
    for render in (str, repr):
        try:
            return render(value)
        except Exception:  # noqa: S112  a broken __str__ must not break the program that logs
            continue
    return f"<{type(value).__name__} that cannot be shown>"


_encoder = msgspec.json.Encoder(enc_hook=text_of)


def encode_fields(fields: dict[str, Any]) -> bytes:
    """`fields` as one JSON object without a newline."""
    try:
        return _encoder.encode(fields)
    except Exception:
        return _encoder.encode(_plain(fields, _DEEPEST))


def _plain(value: Any, depth: int) -> Any:
    """What `value` says, in the types and characters that every JSON reader takes."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return int(value)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if depth and isinstance(value, dict):
        return {_plain_text(text_of(key)): _plain(below, depth - 1) for key, below in value.items()}
    if depth and isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(below, depth - 1) for below in value]
    return _plain_text(text_of(value) if depth or isinstance(value, str) else "…")


def _plain_text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def sort_key(timestamp: Any) -> str | None:
    """What `timestamp` compares by: UTC text without ``Z``; None when it is not a time.

    Text without an offset is taken as UTC.
    """
    if not isinstance(timestamp, str):
        return None
    if _STRICT_TIME.fullmatch(timestamp):
        return timestamp[:-1]
    try:
        moment = datetime.fromisoformat(timestamp)
        return key_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def key_of(moment: datetime) -> str:
    """The sort key of an aware `moment`; a whole second is the smallest key of that second."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat()


def shown_time(key: str) -> str:
    """The time of a sort key by the clock of this machine, to the millisecond."""
    moment = datetime.fromisoformat(f"{key[:26]}+00:00").astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def visible(value: object) -> str:
    """`value` without what would steer a terminal or a page: newlines, escape sequences."""
    text = str(value)
    return text if text.isprintable() else "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]
