"""How long a taker that found nothing sleeps when no bell is rung."""

from collections.abc import Callable
from typing import Any

_FIRST, _LONGEST = 0.001, 0.05  # seconds between two looks at a queue that others may fill unheard
_WATCHED = 1.0  # seconds between two looks at a queue whose bell is rung for everything


class Patience:
    """The pauses of one waiting taker. `timed`: time alone may let it take, as with a rate."""

    def __init__(self, store: Any, clock: Callable[[], float], *, timed: bool) -> None:
        self._watch = None if timed else getattr(store, "watch", None)
        self._store = store
        self._clock = clock
        self._pause = _FIRST

    def seconds(self) -> float:
        """How long to sleep now, after another look in vain.

        The first looks come quickly in any case: a put that was under way when the store began to
        watch rings no bell.
        """
        watched = self._watch is not None and self._watch()
        pause, self._pause = self._pause, min(self._pause * 2, _LONGEST)
        if pause < _LONGEST or not watched:
            return pause
        due: float | None = self._store.next_due()
        return _WATCHED if due is None else min(_WATCHED, max(_FIRST, due - self._clock()))
