"""A progress line on standard error, only when a person watches it."""

import sys
import time
from types import TracebackType
from typing import Any

from holdfast.cli.terminal import Terminal


class Bar:
    """``with Bar("Snapshot", terminal) as bar: work(progress=bar.update)``."""

    def __init__(self, title: str, terminal: Terminal) -> None:
        self._title = title
        self._shown = not terminal.json and sys.stderr.isatty()
        self._status: Any = None
        self._began = self._last = time.monotonic()

    def __enter__(self) -> "Bar":
        if self._shown:
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

    def update(self, entries: int, size: int) -> None:
        """`entries` and `size` (bytes) are done."""
        now = time.monotonic()
        if self._status is None or now - self._last < 0.1:
            return
        self._last = now
        megabytes = size / 1e6
        rate = megabytes / max(now - self._began, 0.001)
        text = f"{self._title}: {entries:,} done, {megabytes:,.0f} MB, {rate:,.0f} MB/s"
        self._status.update(text)
