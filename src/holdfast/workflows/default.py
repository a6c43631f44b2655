"""The process's default engine: where workflows run that were not told another."""

import atexit
import os
import threading

from holdfast.durable.files import Durability
from holdfast.workflows.engine import Workflows

_lock = threading.Lock()
_default: Workflows | None = None


def use_engine(url: str, *, durability: Durability = "process") -> Workflows:
    """Make the engine at `url` the default of this process and return it.

    The one before it is closed, after its started runs ended; the same one again is kept.
    """
    global _default
    with _lock:
        before = _default
        if before is not None and (before.url, before.durability) == (url, durability):
            return before
        _default = Workflows(url, durability=durability)
        made = _default
    if before is not None:
        before.close()
    return made


def default_engine() -> Workflows:
    """The default engine; ``memory://`` unless `use_engine` chose another."""
    global _default
    with _lock:
        if _default is None:
            _default = Workflows("memory://")
        return _default


def close_default() -> None:
    """Close the default engine; the next use opens ``memory://``."""
    global _default
    with _lock:
        before, _default = _default, None
    if before is not None:
        before.close()


def _forget() -> None:
    """In a forked child: its connections and threads belong to the parent."""
    global _default, _lock
    _lock = threading.Lock()
    _default = None


atexit.register(close_default)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
