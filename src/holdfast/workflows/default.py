"""The process's default engine: where workflows run that were not told another."""

import atexit
import os
import threading
from typing import TYPE_CHECKING

from holdfast.durable.files import Durability

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.workflows.engine import Workflows

_lock = threading.Lock()
_default: "Workflows | None" = None
_provider: "Callable[[], Workflows] | None" = None


def use_engine(url: str, *, durability: Durability = "process") -> "Workflows":
    """Make the engine at `url` the default of this process and return it.

    The one before it is closed, after its started runs ended; the same one again is kept.
    """
    global _default, _provider
    with _lock:
        _provider = None
        before = _default
        if before is not None and (before.url, before.durability) == (url, durability):
            return before
        _default = _open(url, durability)
        made = _default
    if before is not None:
        before.close()
    return made


def provide_engine(provider: "Callable[[], Workflows] | None") -> None:
    """Let `provider` say the default engine each time it is needed; who gives it closes it.

    None goes back to the engine of `use_engine`.
    """
    global _provider
    _provider = provider


def default_engine() -> "Workflows":
    """The default engine; ``memory://`` unless another one was chosen."""
    global _default
    if _provider is not None:
        return _provider()
    with _lock:
        if _default is None:
            _default = _open("memory://", "process")
        return _default


def close_default() -> None:
    """Close the default engine; the next use opens ``memory://``."""
    global _default, _provider
    with _lock:
        before, _default, _provider = _default, None, None
    if before is not None:
        before.close()


def _open(url: str, durability: Durability) -> "Workflows":
    from holdfast.workflows.engine import Workflows  # only who runs workflows pays for it

    return Workflows(url, durability=durability)


def _forget() -> None:
    """In a forked child: its connections and threads belong to the parent."""
    global _default, _lock, _provider
    _lock = threading.Lock()
    _default = _provider = None


atexit.register(close_default)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
