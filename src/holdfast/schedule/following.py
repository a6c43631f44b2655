"""The stream of changes below some folders, from the system or, where it has none, by looking.

Linux gives a user a limited number of watches. watchfiles says so when it starts, but not when a
folder made later gets none, so that is tried here: a watcher that is blind must not say that
nothing changed.
"""

import ctypes
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_STEP = 10  # ms: how long the hook of the guard waits for the stream, once or twice
_DEBOUNCE = 100  # ms: for how long changes are gathered when they do not stop
_TICK = 500  # ms: how often nothing is reported
_POLL = 30_000  # ms between two looks at the whole tree

_IN_CREATE = 0x100


class Batch(NamedTuple):
    """Paths that changed. `exact`: every change before those has been reported."""

    paths: Sequence[str]
    exact: bool


class _BlindError(Exception):
    """There are folders that the system does not watch."""


def follow(
    roots: Sequence[Path], stop: threading.Event, warn: Callable[[str], None]
) -> Iterator[Batch]:
    """Batches of changes below `roots` until `stop` is set; empty ones when nothing happens.

    When the system's watches run out, the trees are looked through instead. That, and folders that
    may not be looked into, is told to `warn`, and then nothing is exact any more.
    """
    instead = f"looking through the tree every {_POLL // 1000} s instead"
    try:
        yield from _watch(roots, stop, exact=True)
    except PermissionError as error:
        warn(f"not all folders can be watched ({error}); the guard's hook looks for itself")
        yield from _watch(roots, stop, exact=False)
    except (_BlindError, OSError) as error:
        if not _is_limit(error):
            raise
        warn(
            f"the system gives no more watches: {instead}, and the guard's hook looks for itself; "
            "raise the limit with: sudo sysctl fs.inotify.max_user_watches=1048576"
        )
        yield from _watch(roots, stop, exact=False, poll=True)


def _watch(
    roots: Sequence[Path], stop: threading.Event, *, exact: bool, poll: bool = False
) -> Iterator[Batch]:
    from watchfiles import Change, watch

    stream = watch(
        *roots,
        watch_filter=None,
        debounce=_DEBOUNCE,
        step=_STEP,
        rust_timeout=_TICK,
        yield_on_timeout=True,
        stop_event=stop,
        raise_interrupt=True,
        force_polling=poll,
        poll_delay_ms=_POLL,
        ignore_permission_denied=not exact,  # it would keep silent about the limit too
    )
    for changes in stream:
        made = any(
            change is Change.added and os.path.isdir(path)  # noqa: PTH112  for every change
            for change, path in changes
        )
        if exact and made and _watches_ran_out(roots[0]):
            raise _BlindError
        yield Batch([path for _, path in changes], exact)


def _is_limit(error: Exception) -> bool:
    return isinstance(error, _BlindError) or "watch limit" in str(error).lower()


if sys.platform == "linux":

    def _watches_ran_out(folder: Path) -> bool:
        """Whether the system refuses one more watch."""
        library = ctypes.CDLL(None, use_errno=True)
        descriptor = library.inotify_init()
        if descriptor < 0:
            return ctypes.get_errno() in (errno.EMFILE, errno.ENFILE)
        try:
            watch = library.inotify_add_watch(descriptor, os.fsencode(folder), _IN_CREATE)
            return bool(watch < 0 and ctypes.get_errno() == errno.ENOSPC)
        finally:
            os.close(descriptor)

else:

    def _watches_ran_out(folder: Path) -> bool:
        """Other systems watch a whole tree at once."""
        del folder
        return False
