"""The stream of changes below some folders, from the system or, where it has none, by looking."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_STEP = 10  # ms: how long the hook of the guard waits for the stream, once or twice
_DEBOUNCE = 100  # ms: for how long changes are gathered when they do not stop
_TICK = 500  # ms: how often nothing is reported
_POLL = 30_000  # ms between two looks at the whole tree

_LIMITS = ("watch limit", "too many open files", "inotify", "no space left on device")


class Batch(NamedTuple):
    """Paths that changed. `exact`: every change before those has been reported."""

    paths: Sequence[str]
    exact: bool


def follow(
    roots: Sequence[Path], stop: threading.Event, warn: Callable[[str], None]
) -> Iterator[Batch]:
    """Batches of changes below `roots` until `stop` is set; empty ones when nothing happens.

    When the system's watches run out, the trees are looked through instead, which is told to
    `warn` and is not exact.
    """
    try:
        yield from _watch(roots, stop, poll=False)
    except (OSError, RuntimeError) as error:
        if not any(word in str(error).lower() for word in _LIMITS):
            raise
        warn(
            f"the system gives no more watches ({error}): looking through the tree every "
            f"{_POLL // 1000} s instead, and the guard's hook looks for itself; raise the "
            "limit with: sudo sysctl fs.inotify.max_user_watches=1048576"
        )
        yield from _watch(roots, stop, poll=True)


def _watch(roots: Sequence[Path], stop: threading.Event, *, poll: bool) -> Iterator[Batch]:
    from watchfiles import watch

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
        ignore_permission_denied=True,
    )
    for changes in stream:
        yield Batch([path for _, path in changes], exact=not poll)
