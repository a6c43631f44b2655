"""What came of the jobs: one JSON document, written before and after each."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder
from holdfast.errors import NotFoundError
from holdfast.workflows.processes import ProcessIdentity

Outcome = Literal["ok", "failed", "interrupted", "running"]


class JobState(msgspec.Struct, rename="camel", omit_defaults=True):
    """One job: since when it is known, the time it was last run for, and how that went.

    `process` is the one that works on it, or did when this was written. `note` says for what of
    it there was nothing to do.
    """

    known_since: datetime
    due: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    problem: str | None = None
    note: str | None = None
    failures: int = 0
    succeeded_at: datetime | None = None
    process: ProcessIdentity | None = None


class _StateFile(msgspec.Struct, rename="camel"):
    jobs: dict[str, JobState] = {}
    format_version: int = 1


class StateFile:
    """The states in the file `path`. Whoever writes holds the schedule's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, JobState]:
        """All states by job; none when there is no file. Raises `UnreadableError`."""
        try:
            return convert(read_document(self.path), _StateFile).jobs
        except NotFoundError:
            return {}

    def write(self, jobs: dict[str, JobState]) -> None:
        """Replace them. Raises `StorageError`."""
        make_folder(self.path.parent)
        write_document(self.path, _StateFile(jobs))
