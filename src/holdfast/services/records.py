"""What is kept about services on disk: what people want of each, and what became of it.

``.holdfast/services/wanted.json`` is written by commands, ``state/<name>.json`` by the supervisor
alone, which holds ``supervisor.lock`` as long as it lives.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder
from holdfast.durable.locks import Lock
from holdfast.errors import BusyError, NotFoundError
from holdfast.workflows.processes import ProcessIdentity
from holdfast.workspace.layout import Layout

State = Literal["waiting", "starting", "ready", "pausing", "stopping", "stopped", "ended", "failed"]


class Wish(msgspec.Struct, frozen=True, rename="camel"):
    """What is wanted of a service. A new `turn` means: begin anew, though it may be running."""

    up: bool
    turn: int = 1


class Wanted(msgspec.Struct, frozen=True, rename="camel"):
    """The content of ``wanted.json``."""

    services: dict[str, Wish] = {}
    format_version: int = 1


class Record(msgspec.Struct, rename="camel"):
    """What became of a service. Times are seconds of the epoch.

    `token` marks all processes of one start, from before there is one; `process` is the first of
    them. `restarts` counts those in a row, `due` is when the next one is. `offset` is how much of
    its output is in the log, `seen` whether the text of its ready check was there.
    """

    name: str
    state: State = "waiting"
    reason: str = ""
    turn: int = 0
    token: str = ""
    process: ProcessIdentity | None = None
    since: float = 0.0
    ready_at: float | None = None
    restarts: int = 0
    due: float = 0.0
    asked_to_stop: float | None = None
    exit_status: int | None = None
    offset: int = 0
    seen: bool = False
    format_version: int = 1


class Records:
    """The files about the services of one workspace."""

    def __init__(self, layout: Layout) -> None:
        self.folder = layout.state / "services"

    @property
    def supervisor_lock(self) -> Path:
        return self.folder / "supervisor.lock"

    @property
    def supervisor_output(self) -> Path:
        """What the supervisor says when it cannot even log."""
        return self.folder / "supervisor.out"

    def output(self, name: str) -> Path:
        """Where the service writes to."""
        return self.folder / "output" / f"{name}.out"

    def stop_file(self, name: str) -> Path:
        """The file that asks the service to end; for programs that get no signal."""
        return self.folder / "stop" / name

    def wanted(self) -> dict[str, Wish]:
        """What is wanted now. Raises `UnreadableError`."""
        try:
            return convert(read_document(self.folder / "wanted.json"), Wanted).services
        except NotFoundError:
            return {}

    @contextmanager
    def changing_wanted(self) -> Iterator[dict[str, Wish]]:
        """Change what is wanted, alone: the yielded dict is written when the body ends."""
        make_folder(self.folder, private=True)
        with Lock(self.folder / "wanted.lock", purpose="change the services that are wanted"):
            wanted = self.wanted()
            before = dict(wanted)
            yield wanted
            if wanted != before:
                write_document(self.folder / "wanted.json", Wanted(wanted))

    def read(self, name: str) -> Record:
        """What became of a service; a fresh record when nothing did. Raises `UnreadableError`."""
        try:
            return convert(read_document(self._record(name)), Record)
        except NotFoundError:
            return Record(name)

    def names(self) -> list[str]:
        """The services there are records of."""
        return sorted(path.stem for path in (self.folder / "state").glob("*.json"))

    def write(self, record: Record) -> None:
        """Keep `record`; it survives kill -9. Raises `StorageError`."""
        make_folder(self.folder / "state")
        write_document(self._record(record.name), record, durability="process")

    def supervised(self) -> bool:
        """Whether a supervisor is alive."""
        if not self.supervisor_lock.exists():
            return False
        try:
            with Lock(self.supervisor_lock, purpose="look for a supervisor", timeout=0):
                return False
        except BusyError:
            return True

    def _record(self, name: str) -> Path:
        return self.folder / "state" / f"{name}.json"
