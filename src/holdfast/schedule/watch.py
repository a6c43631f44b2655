"""Following changes: the change journal for the guard, jobs on change and when due, alarms.

One watcher a workspace. It knows whether anything changed since the snapshot of the last undo
point, so that the guard's hook need not look at every file. It keeps nothing on disk that it would
miss: killed at any instant, the next one starts by knowing nothing.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Protocol

from holdfast.durable import asking
from holdfast.durable.files import is_temporary, make_folder
from holdfast.durable.locks import Lock
from holdfast.durable.names import is_within
from holdfast.durable.shared_files import identity
from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.history.history import configuration_places
from holdfast.schedule.following import Batch, follow
from holdfast.vault.coverage import HOME_ITEMS, LIVELY
from holdfast.workspace.layout import STATE_FOLDER

_LOOK_EVERY = 30.0  # seconds between two looks at what is due
_QUIET = 3.0  # seconds without a change of configuration before it is saved
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_OWN = tuple(f"{STATE_FOLDER}/{each}" for each in ("quarantine", "locks", "points", "schedule"))


class Reply(Protocol):
    """The answer to a question, and the snapshot that holds the workspace as it was then."""

    @property
    def output(self) -> bytes: ...
    @property
    def snapshot(self) -> str | None: ...


Answer = Callable[[Path, bytes, str | None], Reply]
"""Answers the guard's hook: (workspace, question, snapshot since which nothing changed)."""

Alarm = Callable[[Workspace, Sequence[Path]], Iterable[str]]
"""Looks at other programs' files, at first and when some `changed`; says what is wrong."""

Say = Callable[[str], None]


class Watcher:
    """Watches one workspace until `stop` is set. Raises `BusyError` when another one does.

    Raises `NotFoundError` once the workspace is no longer where it was.
    """

    def __init__(
        self, workspace: Workspace, answer: Answer, *, alarms: Sequence[Alarm] = (), say: Say
    ) -> None:
        layout = workspace.layout
        self._workspace = workspace
        self._root, self._home, self._state = layout.root, layout.home, layout.schedule
        self._place = identity(self._root)
        self._vault = workspace.settings.backups
        places = [os.fspath(each) for each in configuration_places(self._root, self._home)]
        self._configurations = frozenset(places)
        self._in_configurations = tuple(each + os.sep for each in places)
        self._answer = answer
        self._alarms = alarms
        self._say = say
        self._log = workspace.logger("schedule")
        self._clean: str | None = None  # the snapshot since which nothing changed
        self._home_seen = self._look_home()
        self._saved_at = 0.0  # of configuration: when it last changed, and was not saved yet
        self._looked_at = 0.0
        self._answering: Lock | None = None
        self._child: subprocess.Popen[bytes] | None = None

    def run(self, stop: threading.Event) -> None:
        """Watch until `stop` is set."""
        make_folder(self._state, private=True)
        one = self._workspace.layout.locks / "watch.lock"
        with Lock(one, purpose="watch the workspace", timeout=0.5):
            asking.sweep(str(self._state), older_than=60.0)
            self._raise_alarms([])
            try:
                for batch in follow(self._roots(), stop, self._warn):
                    self._check_place()
                    self._offer_answers(batch.exact)
                    self._take(batch)
                    self._do_what_is_due()
            finally:
                self._offer_answers(False)
                if self._child is not None:
                    self._child.wait()  # it holds its own lock; let it end what it began

    def _check_place(self) -> None:
        """A folder that was moved away is still followed, and nobody would know of it."""
        if identity(self._root) != self._place:
            hint = "if you moved it, start its watcher there"
            raise NotFoundError("the workspace is no longer here", path=self._root, hint=hint)

    def _offer_answers(self, exact: bool) -> None:
        """Answer the guard's hook as long as nothing is missed; else it had better look itself."""
        if exact and self._answering is None:
            self._answering = Lock(self._state / asking.LOCK_NAME, purpose="answer the guard")
            self._answering.acquire()
        elif not exact and self._answering is not None:
            self._answering.release()
            self._answering = None

    def _roots(self) -> list[Path]:
        """What is followed: the workspace, and Claude Code's folder in the home."""
        claude = self._home / ".claude"
        apart = claude.is_dir() and not is_within(claude, self._root)
        return [self._root, claude] if apart else [self._root]

    def _take(self, batch: Batch) -> None:
        """Note what changed, then answer what was asked: its changes came before the questions."""
        asked = []
        for path in batch.paths:
            if os.path.dirname(path) == str(self._state):  # noqa: PTH120  for every change
                if asking.is_question(path):
                    asked.append(path)
                continue
            self._note(path)
        home = self._look_home()
        if home != self._home_seen:
            changed = [self._home / name for name in HOME_ITEMS if self._differs(home, name)]
            self._home_seen, self._clean = home, None
            if not self._configurations.isdisjoint(map(os.fspath, changed)):
                self._saved_at = time.monotonic()
            self._raise_alarms(changed)
        for path in sorted(set(asked), key=_age):
            self._reply(path)

    def _note(self, path: str) -> None:
        place = Path(path)
        if is_temporary(place.name):
            return
        if path in self._configurations or path.startswith(self._in_configurations):
            self._saved_at = time.monotonic()
        if place.is_relative_to(self._root):
            name = place.relative_to(self._root).as_posix()
            if name == STATE_FOLDER or name.startswith(_OWN):
                return
            if place.is_relative_to(self._vault):
                return
        elif place.is_relative_to(self._home) and _is_lively(place.relative_to(self._home)):
            return
        self._clean = None

    def _reply(self, path: str) -> None:
        try:
            question = asking.accept(path)
            if question is None:
                return
            reply = self._answer(self._root, question, self._clean)
            self._clean = reply.snapshot
            asking.answer(path, reply.output)
        except OSError as error:
            self._warn(f"a question of the guard was not answered: {error}")

    def _look_home(self) -> dict[str, tuple[int, int, int] | None]:
        """The state of the home's files, which are too few to be followed."""
        return {name: _stamp(self._home / name) for name in HOME_ITEMS if name != ".claude"}

    def _differs(self, now: dict[str, tuple[int, int, int] | None], name: str) -> bool:
        return now.get(name) != self._home_seen.get(name)

    def _raise_alarms(self, changed: Sequence[Path]) -> None:
        for alarm in self._alarms:
            try:
                found = list(alarm(self._workspace, changed))
            except HoldfastError as error:
                found = [str(error)]
            for text in found:
                self._warn(text)

    def _do_what_is_due(self) -> None:
        """Let a child run what is due, now and then and when configuration was changed."""
        if self._child is not None:
            if self._child.poll() is None:
                return
            self._child = None
        now = time.monotonic()
        saving = bool(self._saved_at) and now - self._saved_at >= _QUIET
        if not saving and self._looked_at and now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = now
        if saving:
            self._saved_at = 0.0
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "holdfast", "schedule", "run-due", "-w", str(self._root)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=_NO_WINDOW,
        )

    def _warn(self, text: str) -> None:
        self._log.warning(text)
        self._say(text)


def _is_lively(path: Path) -> bool:
    """Whether Claude Code itself writes the path (relative to the home) at every step."""
    parts = path.parts
    return len(parts) > 1 and parts[0] == ".claude" and parts[1] in LIVELY


def _age(path: str) -> int:
    """When a question was put, so that the end of one tool comes before the start of the next."""
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116  a plain string
    except OSError:
        return 0


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
