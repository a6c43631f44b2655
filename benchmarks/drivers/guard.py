"""What an agent waits for before its shell command runs: the hook's processes, from outside.

An adapter has ``connect(root) -> Guard``.
"""

import subprocess
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, cast

_CALLS = 3  # a sample is their mean
_FOLDERS = 2_000
_SETTLE = 2.5  # seconds until the times of files made just now are trusted


class Guard(Protocol):
    """What keeps a workspace as it is now."""

    def prepare(self, *, watched: bool) -> None:
        """Set it up and let it see the workspace once; with `watched` something runs beside."""

    def before(self) -> list[tuple[list[str], bytes]]:
        """The processes of one call, each with what it reads."""

    def close(self) -> None:
        """End what runs beside."""


class Driver:
    """Calls of the hook in a workspace of many files."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter
        self._guard: Guard | None = None
        self._count = 0

    def call(
        self, folder: str, number: int, files: int, edited: bool, watched: bool
    ) -> dict[str, Any]:
        """Call it some times; with `edited` one file changed before each."""
        root = Path(folder) / "home" / "workspace"
        if number == 0:
            _make(root, files)
            self._guard = cast("Guard", self._adapter.connect(root))
            self._guard.prepare(watched=watched)
            time.sleep(_SETTLE)
            self._run(root)
        seconds = 0.0
        for _ in range(_CALLS):
            if edited:
                self._count += 1
                (root / "0" / "file-0.txt").write_text(f"{self._count}\n", "utf-8")
            started = time.perf_counter()
            self._run(root)
            seconds += time.perf_counter() - started
        return {"count": _CALLS, "seconds": seconds}

    def close(self) -> None:
        """End what runs beside."""
        if self._guard is not None:
            self._guard.close()

    def _run(self, root: Path) -> None:
        assert self._guard is not None
        for arguments, read in self._guard.before():
            subprocess.run(arguments, cwd=root, input=read, check=True, stdout=subprocess.DEVNULL)


def _make(root: Path, files: int) -> None:
    for folder in range(min(files, _FOLDERS)):
        (root / str(folder)).mkdir(parents=True)
    for number in range(files):
        path = root / str(number % _FOLDERS) / f"file-{number // _FOLDERS}.txt"
        path.write_text(f"{number}\n" * (1 + number % 60), "utf-8")
