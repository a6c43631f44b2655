"""Commands that a page runs: each in a process of its own, so that the page outlives their code.

What they say is kept here, as far as it is shown; what they do is safe at any instant by itself.
"""

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from holdfast.errors import NotFoundError
from holdfast.web.surveys import Surveys

_KEPT = 50  # errands
_LINES = 1_000  # of what one says
_PIECE = 4_096  # bytes of a line that are kept together
# Ctrl+C at the terminal is for the page; it waits for what it started.
_OWN_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)


class Errand:
    """One command: its line, when it began and ended (UTC), its exit status, what it said.

    `asked_at` is the path of the page that asked for it.
    """

    def __init__(self, number: int, line: Sequence[str], asked_at: str) -> None:
        self.id = number
        self.asked_at = asked_at
        self.line = ["holdfast", *line]
        self.started = datetime.now(UTC)
        self.ended: datetime | None = None
        self.status: int | None = None
        self.said: deque[str] = deque(maxlen=_LINES)
        self.changes = 0

    @property
    def command(self) -> str:
        """The command as it is typed."""
        return subprocess.list2cmdline(self.line)

    @property
    def output(self) -> str:
        """What it said until now, the last lines of it."""
        return "\n".join(self.said.copy())

    @property
    def state(self) -> str:
        """``running``, ``succeeded`` or ``failed``."""
        if self.ended is None:
            return "running"
        return "succeeded" if self.status == 0 else "failed"


class Errands:
    """The commands that one serving process runs and ran, in the workspace at `root`."""

    def __init__(self, root: Path, settings: Sequence[str] = ()) -> None:
        self._root = root
        self._settings = [word for each in settings for word in ("--set", each)]
        self._errands: dict[int, Errand] = {}
        self._working: dict[int, tuple[subprocess.Popen[bytes], threading.Thread]] = {}
        self._lock = threading.Lock()
        self._number = 0
        self.surveys = Surveys(lambda line, stderr: self._spawn([*line, *self._settings], stderr))

    def start(self, line: Sequence[str], asked_at: str = "/") -> Errand:
        """Run ``holdfast`` with the words of `line`; does not wait for it."""
        with self._lock:
            self._number += 1
            errand = Errand(self._number, line, asked_at)
            end = line.index("--") if "--" in line else len(line)
            process = self._spawn([*line[:end], *self._settings, *line[end:]])
            thread = threading.Thread(target=self._follow, args=(errand, process), daemon=True)
            self._working[errand.id] = (process, thread)
            self._errands[errand.id] = errand
            for old in list(self._errands)[:-_KEPT]:
                if old not in self._working:
                    del self._errands[old]
            thread.start()
        return errand

    def get(self, number: str) -> Errand:
        """One errand. Raises `NotFoundError`."""
        errand = self._errands.get(int(number)) if number.isdecimal() else None
        if errand is None:
            raise NotFoundError(f"there is no errand {number!r}", hint="it was of an earlier page")
        return errand

    def newest_first(self) -> list[Errand]:
        """All errands that are remembered."""
        return list(self._errands.values())[::-1]

    @property
    def changes(self) -> int:
        """Grows with whatever happens to an errand."""
        own = sum(errand.changes for errand in list(self._errands.values()))
        return own + self.surveys.changes

    def wait(self, errand: Errand, seconds: float) -> bool:
        """Give an errand some time; whether it has ended."""
        working = self._working.get(errand.id)
        if working is not None:
            working[1].join(seconds)
        return errand.ended is not None

    def working(self) -> Iterator[Errand]:
        """Those that have not ended."""
        return (errand for errand in self.newest_first() if errand.ended is None)

    def end(self) -> None:
        """End those that still work, and wait until they are gone."""
        self.surveys.end()
        for process, thread in list(self._working.values()):
            process.terminate()
            thread.join()

    def _spawn(
        self, line: Sequence[str], stderr: int = subprocess.STDOUT
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "holdfast", *line],
            cwd=self._root,
            env={
                **os.environ,
                "HOLDFAST_WORKSPACE": str(self._root),
                "PYTHONUTF8": "1",
                "PYTHONUNBUFFERED": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            creationflags=_NO_WINDOW | _OWN_GROUP,
        )

    def _follow(self, errand: Errand, process: subprocess.Popen[bytes]) -> None:
        with process:
            assert process.stdout is not None
            while piece := process.stdout.readline(_PIECE):
                errand.said.append(piece.decode("utf-8", "replace").rstrip("\r\n"))
                errand.changes += 1
        errand.status = process.returncode
        errand.ended = datetime.now(UTC)
        errand.changes += 1
        with self._lock:
            del self._working[errand.id]
