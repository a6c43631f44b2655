"""The stream of changes below some folders, from the system or, where it has none, by looking.

Linux gives a user a limited number of watches. watchfiles says so when it starts, but not when a
folder made later gets none, so the system is asked which folders it watches: a watcher that is
blind must not say that nothing changed.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_STEP = 10  # ms: how long the hook of the guard waits for the stream, once or twice
_DEBOUNCE = 100  # ms: for how long changes are gathered when they do not stop
_TICK = 500  # ms: how often nothing is reported
_POLL = 30_000  # ms between two looks at the whole tree
_PATIENCE = 2.0  # seconds for the watch of a new folder to be set: watchfiles reports it before


class Batch(NamedTuple):
    """Paths that changed. `exact`: every change before those has been reported."""

    paths: Sequence[str]
    exact: bool


_NO_MORE = (
    "the system gives no more watches; "
    "raise the limit with: sudo sysctl fs.inotify.max_user_watches=1048576"
)


class _BlindError(Exception):
    """There are folders that the system does not watch, or may not; says why and what helps."""


def follow(
    roots: Sequence[Path], stop: threading.Event, warn: Callable[[str], None]
) -> Iterator[Batch]:
    """Batches of changes below `roots` until `stop` is set; empty ones when nothing happens.

    When the system's watches run out, the trees are looked through instead. That, and folders that
    may not be looked into, is told to `warn`, and then nothing is exact any more.
    """
    try:
        yield from _watch(roots, stop, exact=True)
    except PermissionError as error:
        warn(f"not all folders can be watched ({error}); the guard's hook looks for itself")
        yield from _watch(roots, stop, exact=False)
    except (_BlindError, OSError) as error:
        if "watch limit" in str(error).lower():  # as watchfiles says it
            error = _BlindError(_NO_MORE)
        if not isinstance(error, _BlindError):
            raise
        warn(
            f"not all folders are watched, so the tree is looked through every {_POLL // 1000} s, "
            f"and the guard's hook looks for itself: {error}"
        )
        yield Batch([], exact=False)  # at once: the first look at the tree takes its time
        yield from _watch(roots, stop, exact=False, poll=True)


def _watch(
    roots: Sequence[Path], stop: threading.Event, *, exact: bool, poll: bool = False
) -> Iterator[Batch]:
    from watchfiles import Change, watch

    root = roots[0].stat().st_ino
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
        if exact:
            _check_watched((path for change, path in changes if change is Change.added), root)
        yield Batch([path for _, path in changes], exact)


if sys.platform == "linux":

    def _check_watched(made: Iterable[str], root: int) -> None:
        """Raise `_BlindError` unless each folder among the `made` paths, and all below, is watched.

        `root` is the inode of a folder that surely is. The system takes 0.3 s of CPU to tell of
        80,000 watches (Linux 6.18), so this is asked for new folders alone.

        Raises `PermissionError` for one that this user may not look into.
        """
        wanted = [path for path in made if os.path.isdir(path)]  # noqa: PTH112  for every change
        deadline = time.monotonic() + _PATIENCE
        while wanted:
            watched = _watched_inodes()
            if root not in watched:
                raise _BlindError("this file system does not tell what is watched")
            if all(inode in watched for path in wanted for inode in _folders(path)):
                return
            if time.monotonic() > deadline:
                raise _BlindError(_NO_MORE)
            time.sleep(_STEP / 1000)

    def _watched_inodes() -> set[int]:
        """The inodes that this process watches (proc(5), /proc/pid/fdinfo, inotify)."""
        inodes = set()
        for entry in os.scandir("/proc/self/fdinfo"):
            with suppress(OSError), Path(entry.path).open("rb") as file:  # closed meanwhile
                for line in file:
                    if line.startswith(b"inotify wd:"):
                        inodes.add(int(line.split(b"ino:", 1)[1].split(b" ", 1)[0], 16))
        return inodes

    def _folders(top: str) -> Iterator[int]:
        """The inodes of the folder `top` and of those below; not of what vanishes meanwhile."""
        for folder, _, _ in os.walk(top):
            with suppress(FileNotFoundError):
                if not os.access(folder, os.R_OK):
                    raise PermissionError(f"{folder} may not be looked into")
                yield os.lstat(folder).st_ino

else:

    def _check_watched(made: Iterable[str], root: int) -> None:
        """Other systems watch a whole tree at once."""
        del made, root
