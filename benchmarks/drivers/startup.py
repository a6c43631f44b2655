"""Times of whole processes. An adapter has ``COMMANDS`` and ``prepare(folder)``."""

import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

_LAUNCHES = 3  # a sample is their mean


class Driver:
    """Launches of this Python."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter

    def launch(self, folder: str, number: int, command: str) -> dict[str, Any]:
        """Launch the adapter's `command` in `folder`."""
        arguments = [sys.executable, *self._adapter.COMMANDS[command]]
        if number == 0:
            self._adapter.prepare(Path(folder))
            _run(arguments, folder)  # so that the bytecode is compiled and the files are cached
        started = time.perf_counter()
        for _ in range(_LAUNCHES):
            _run(arguments, folder)
        return {"count": _LAUNCHES, "seconds": time.perf_counter() - started}

    def close(self) -> None:
        """Nothing is open."""


def _run(arguments: list[str], folder: str) -> None:
    subprocess.run(arguments, cwd=folder, check=True, stdout=subprocess.DEVNULL)
