"""Known secrets never reach a log file: each line loses their values before it is written.

Known are the values given to `redact`, and those of the environment variables that
``$HOLDFAST_SECRETS`` names (separated by commas): whoever starts a process with secrets in its
environment names them there, and the process and its children keep them out of their logs.
"""

import os
import re
from collections.abc import Iterable
from threading import Lock

import msgspec

ENVIRONMENT = "HOLDFAST_SECRETS"
SHORTEST = 6  # characters; a shorter value would be found in innocent text as well
MASK = b"***"

_known: set[str] = set()
_lock = Lock()
_pattern: re.Pattern[bytes] | None = None


def redact(values: Iterable[str]) -> None:
    """Keep `values` out of every line this process logs from now on, whichever logger writes it.

    A value of fewer than `SHORTEST` characters is not looked for.
    """
    global _pattern
    with _lock:
        _known.update(value for value in values if len(value) >= SHORTEST)
        # As they stand in JSON; the longest first, as one may begin with another.
        forms = sorted({_in_json(value) for value in _known}, key=len, reverse=True)
        _pattern = re.compile(b"|".join(map(re.escape, forms))) if forms else None


def forget_secrets() -> None:
    """Know no secrets any more."""
    _known.clear()
    redact(())


def redacted(body: bytes) -> bytes:
    """`body`, a piece of a JSON line, without the known secrets."""
    return body if _pattern is None else _pattern.sub(MASK, body)


def _in_json(value: str) -> bytes:
    return msgspec.json.encode(value.encode("utf-8", "backslashreplace").decode())[1:-1]


def _redact_environment() -> None:
    names = os.environ.get(ENVIRONMENT, "")
    redact(os.environ.get(name.strip(), "") for name in names.split(",") if name.strip())


_redact_environment()
