"""What takes long to find out: asked of a ``holdfast`` command, its last answer kept.

The command runs in a process of its own, so that pages stay quick meanwhile and it can be ended.
"""

import subprocess
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec

Answer = TypeVar("Answer")
Spawn = Callable[[Sequence[str], int], "subprocess.Popen[bytes]"]


class Survey(Generic[Answer]):
    """What one command answered last, and when that was asked (UTC); `problem` when it failed."""

    def __init__(self) -> None:
        self.running = False
        self.asked_at: datetime | None = None
        self.answer: Answer | None = None
        self.answered_for: datetime | None = None
        self.problem: str | None = None


class Surveys:
    """The surveys of one serving process, one for each command line."""

    def __init__(self, spawn: Spawn) -> None:
        self.changes = 0
        self._spawn = spawn
        self._surveys: dict[tuple[str, ...], Survey[Any]] = {}
        self._working: dict[threading.Thread, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def get(
        self, line: Sequence[str], kind: type[Answer], *, since: datetime | None = None
    ) -> Survey[Answer]:
        """The survey of ``holdfast`` with `line`, whose ``--json`` is of `kind`; does not wait.

        It is begun now if it never was, or not since `since`.
        """
        survey = self._surveys.setdefault(tuple(line), Survey())
        if survey.asked_at is None or (since is not None and survey.asked_at < since):
            self.renew(line, kind)
        return survey

    def renew(self, line: Sequence[str], kind: type[Any]) -> None:
        """Ask again, unless it is being asked."""
        with self._lock:
            survey = self._surveys.setdefault(tuple(line), Survey())
            if survey.running:
                return
            survey.running, survey.asked_at = True, datetime.now(UTC)
            process = self._spawn([*line, "--json"], subprocess.PIPE)
            thread = threading.Thread(
                target=self._follow, args=(survey, process, kind), daemon=True
            )
            self._working[thread] = process
            self.changes += 1
            thread.start()

    def end(self) -> None:
        """End those that are being asked, and wait until they are gone."""
        for thread, process in list(self._working.items()):
            process.terminate()
            thread.join()

    def _follow(
        self, survey: Survey[Any], process: "subprocess.Popen[bytes]", kind: type[Any]
    ) -> None:
        with process:
            said, wrong = process.communicate()
        try:
            # The status is not asked: 1 may mean that something was found.
            survey.answer = msgspec.json.decode(said, type=kind)
            survey.answered_for, survey.problem = survey.asked_at, None
        except (msgspec.DecodeError, UnicodeDecodeError):
            survey.problem = _problem(wrong) or f"it ended with {process.returncode}"
        with self._lock:
            survey.running = False
            self.changes += 1
            del self._working[threading.current_thread()]


def _problem(wrong: bytes) -> str:
    """What the command said of its error, as text."""
    try:
        facts = msgspec.json.decode(wrong)["error"]
        return " ".join(str(facts[key]) for key in ("message", "path", "hint") if facts.get(key))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
        return wrong.decode("utf-8", "replace").strip()[-1_000:]
