"""The ids of runs that were given none."""

import hashlib
import secrets
import time
from datetime import UTC, datetime
from functools import lru_cache

_LONGEST = 128  # what `check_identifier` allows


def new_run_id(name: str) -> str:
    """A run id that nobody has: the workflow's name, the time and 48 random bits."""
    return f"{name}-{_written(int(time.time()))}-{secrets.token_hex(6)}"


@lru_cache(maxsize=1)
def _written(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d-%H%M%S}"


def child_id(parent: str, step_id: str) -> str:
    """The id of a run that the step `step_id` of the run `parent` starts: always the same."""
    plain = f"{parent}.{step_id}"
    if len(plain) <= _LONGEST:
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()[:24]
    return f"{plain[: _LONGEST - 25]}.{digest}"
