"""From what a caller puts to what an engine keeps."""

from collections.abc import Mapping
from typing import Any

import msgspec

from holdfast.context import current_task_id
from holdfast.errors import UsageError
from holdfast.queues.message import Envelope
from holdfast.queues.store import NewMessage

_PRIORITIES = 2**31

_encode = msgspec.json.Encoder().encode


def new_message(
    body: Any,
    now: float,
    *,
    delay: float = 0.0,
    priority: int = 0,
    key: str | None = None,
    group: str | None = None,
    ttl: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> NewMessage:
    """The message of a body and the options of `Queue.put`. Raises `UsageError`."""
    if not -_PRIORITIES <= priority <= _PRIORITIES:
        raise UsageError(f"a priority is a number from -{_PRIORITIES} to {_PRIORITIES}")
    expires = None if ttl is None else now + positive(ttl, "ttl")
    payload = payload_of(body, "the body", dict(headers) if headers else None, expires)
    return NewMessage(payload, priority, now + delay if delay > 0 else 0.0, key, group)


def payload_of(
    body: Any, what: str, headers: dict[str, str] | None = None, expires: float | None = None
) -> bytes:
    """The envelope of `body` as JSON. Raises `UsageError` that names `what` is no JSON."""
    try:
        return _encode(Envelope(body, current_task_id(), headers, expires))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise UsageError(
            f"{what} is no JSON value: {_first_problem(body, '')}",
            hint="put dicts, lists, texts, numbers, booleans and None",
        ) from error


def positive(seconds: float, what: str) -> float:
    """`seconds` if it is a number of seconds above 0; else `UsageError`."""
    if not 0 < seconds < 1e10:
        raise UsageError(f"the {what} must be a number of seconds above 0, not {seconds!r}")
    return seconds


def _first_problem(value: Any, place: str) -> str:
    """The first thing inside `value` that JSON cannot hold, and where it is."""
    if isinstance(value, dict):
        inner = [(child, f"{place}.{key}") for key, child in value.items()]
    elif isinstance(value, (list, tuple)):
        inner = [(child, f"{place}[{number}]") for number, child in enumerate(value)]
    else:
        return f"{type(value).__name__} at {place.lstrip('.') or 'the top'}"
    for child, there in inner:
        try:
            _encode(child)
        except (TypeError, ValueError, OverflowError):
            return _first_problem(child, there)
        except RecursionError:
            return f"{type(value).__name__} that holds itself or is nested too deeply"
    return f"{type(value).__name__} with a key that is no text at {place.lstrip('.') or 'the top'}"
