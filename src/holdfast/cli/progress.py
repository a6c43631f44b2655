"""Progress on standard error: a moving line for a person, now and then a line of text in a pipe."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from holdfast.cli.consoles import is_terminal
from holdfast.cli.terminal import Terminal
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.vault import Progress

_EVERY = 0.1  # seconds between two updates of the moving line
_EVERY_IN_A_PIPE = 10.0
_SETTLED = 1.0  # seconds after which the rate says something


class Bar:
    """``with Bar("Snapshot", terminal) as bar: work(progress=bar.update)``; silent with --json.

    Work that takes pains for it is given `wanted` instead: None when nobody would see it.
    """

    def __init__(self, title: str, terminal: Terminal) -> None:
        self._title = title
        self._silent = terminal.json
        self._moving = not terminal.json and is_terminal(sys.stderr)
        self._terminal = terminal
        self._status: Any = None
        self._began = self._last = time.monotonic()

    def __enter__(self) -> "Bar":
        self._began = self._last = time.monotonic()
        if self._moving:
            from rich.console import Console

            self._status = Console(stderr=True).status(f"{self._title}…")
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    @property
    def wanted(self) -> "Progress | None":
        """`update`, if anybody looks."""
        return None if self._silent else self.update

    def update(self, entries: int, size: int, expected: int = 0) -> None:
        """`entries` and `size` bytes of `expected` (0: not known) are done."""
        now = time.monotonic()
        if self._silent or now - self._last < (_EVERY if self._moving else _EVERY_IN_A_PIPE):
            return
        self._last = now
        text = f"{self._title}: {progress_text(entries, size, expected, now - self._began)}"
        if self._status is not None:
            self._status.update(text)
        else:
            self._terminal.note(text)


def progress_text(entries: int, size: int, expected: int, seconds: float) -> str:
    """What is done after `seconds`, how fast, and how long the rest takes at that rate."""
    rate = size / max(seconds, 0.001)
    text = f"{entries:,} done, {readable_size(size)}"
    if expected > size:
        text += f" of {readable_size(expected)} ({100 * size // expected} %)"
    text += f", {readable_size(rate)}/s"
    if expected > size and rate > 0 and seconds >= _SETTLED:
        text += f", {_readable_time((expected - size) / rate)} left"
    return text


def _readable_time(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
