"""What the workflow room writes into a store's opaque bytes, as JSON, and what callers see of it.

Keys are camelCase; results and inputs stand in their record as the JSON they are, so that any JSON
tool can read them.
"""

from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, cast

import msgspec

from holdfast.errors import UnreadableError
from holdfast.workflows.store import RunRow

Note = TypeVar("Note")

Status = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled", "unreadable"]
"""``queued``: not begun yet; ``waiting``: asleep or waiting for a signal or a child, in no process;
``unreadable``: the store holds it and cannot read it."""


class Failure(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """An error as it is kept: its type, its message and the traceback's text.

    `step` is the id of the step that failed, when it was one; `attempts` is how often it was tried.
    """

    type: str
    message: str
    traceback: str
    step: str | None = None
    attempts: int = 1

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


class Definition(msgspec.Struct, frozen=True, rename="camel"):
    """Where the code of a workflow stands, so that another process can import it."""

    module: str
    qualname: str
    file: str


class RunBody(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The part of a run that is fixed when it starts. `parent` is the run that started it."""

    definition: Definition
    input: msgspec.Raw
    version: str | None = None
    parent: str | None = None


class Outcome(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How a run ended: with a result (or the digest of a large one), or with an error."""

    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Failure | None = None
    blob: str | None = None


class Signal(msgspec.Struct, frozen=True, rename="camel"):
    """What a run was sent, and when, in milliseconds of the epoch."""

    name: str
    value: msgspec.Raw
    sent: int


class StepRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A finished step: with a result (or the digest of a large one), or with an error.

    `started` is in milliseconds of the epoch, as exact as the clock, so that what belongs to one
    task can be put in order; `seconds` spans all attempts and the pauses between them. `group` is
    the position of the first step of a `map` that this one belongs to, `signal` the number of the
    signal that was waited for.
    """

    id: str
    started: float
    seconds: float
    attempts: int = 1
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Failure | None = None
    blob: str | None = None
    group: int | None = None
    signal: int | None = None


class StepInfo(msgspec.Struct, frozen=True, rename="camel"):
    """A finished step, as `Workflows.steps` shows it; `result` is plain JSON data."""

    id: str
    status: Literal["succeeded", "failed"]
    attempts: int
    started_at: datetime
    seconds: float
    result: Any
    error: Failure | None


class RunInfo(msgspec.Struct, frozen=True, rename="camel"):
    """A run, as `Workflows.get` and `Workflows.list` show it.

    `interrupted` tells a running run that no living process executes: `resume` takes it up.
    `due_at` is when a waiting or queued run goes on by itself. `serial` pages `Workflows.list`.
    `input` and `result` are plain JSON data; of an unreadable run only `id` and `error` are known.
    """

    id: str
    name: str
    status: Status
    interrupted: bool
    created_at: datetime
    finished_at: datetime | None
    input: Any
    result: Any
    error: Failure | None
    definition: Definition
    serial: int
    due_at: datetime | None = None
    priority: int = 0
    version: str | None = None
    parent: str | None = None


NEVER = 253_402_300_799_000
"""The `due` of what waits for a signal alone, in milliseconds of the epoch: the year 9999."""

encode = msgspec.json.Encoder().encode
_decode_step = msgspec.json.Decoder(StepRecord).decode
_decode_body = msgspec.json.Decoder(RunBody).decode
_decode_outcome = msgspec.json.Decoder(Outcome).decode
_decode_signal = msgspec.json.Decoder(Signal).decode


def read_step(body: bytes, run_id: str) -> StepRecord:
    """A recorded step. Raises `UnreadableError` when the bytes are none."""
    try:
        return _decode_step(body)
    except msgspec.MsgspecError as error:
        raise _unreadable(f"a recorded step of run {run_id}", error) from error


def read_signal(body: bytes, run_id: str) -> Signal:
    """A signal. Raises `UnreadableError` when the bytes are none."""
    try:
        return _decode_signal(body)
    except msgspec.MsgspecError as error:
        raise _unreadable(f"a signal of run {run_id}", error) from error


def read_body(row: RunRow) -> RunBody:
    """What a run was started with. Raises `UnreadableError`."""
    try:
        return _decode_body(row.body)
    except msgspec.MsgspecError as error:
        raise _unreadable(f"the beginning of run {row.id}", error) from error


def read_outcome(row: RunRow) -> Outcome:
    """How a finished run ended. Raises `UnreadableError`."""
    try:
        return _decode_outcome(row.outcome or b"")
    except msgspec.MsgspecError as error:
        raise _unreadable(f"the outcome of run {row.id}", error) from error


def decode_note(body: bytes, kind: type[Note], name: str) -> Note:
    """A note that the processes of a store share. Raises `UnreadableError`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise _unreadable(f"the note {name}", error) from error


def run_info(row: RunRow, *, interrupted: bool, outcome: Outcome) -> RunInfo:
    """A stored run as callers see it."""
    body = read_body(row)
    waiting = row.finished is None and row.due is not None and row.due < NEVER
    return RunInfo(
        id=row.id,
        name=row.name,
        status=cast("Status", row.status),
        interrupted=interrupted,
        created_at=moment(row.created),
        finished_at=None if row.finished is None else moment(row.finished),
        input=plain(body.input),
        result=plain(outcome.result),
        error=outcome.error,
        definition=body.definition,
        serial=row.serial,
        due_at=moment(row.due) if waiting and row.due is not None else None,
        priority=row.priority,
        version=body.version,
        parent=body.parent,
    )


def unreadable_info(row: RunRow) -> RunInfo:
    """A run that the store holds and cannot read, as callers see it."""
    return RunInfo(
        id=row.id,
        name=row.name,
        status="unreadable",
        interrupted=False,
        created_at=moment(row.created),
        finished_at=None,
        input=None,
        result=None,
        error=Failure("holdfast.errors.UnreadableError", row.damage or "", ""),
        definition=Definition("", "", ""),
        serial=row.serial,
    )


def step_info(record: StepRecord) -> StepInfo:
    """A recorded step as callers see it."""
    return StepInfo(
        id=record.id,
        status="succeeded" if record.error is None else "failed",
        attempts=record.attempts,
        started_at=moment(record.started),
        seconds=record.seconds,
        result=plain(record.result),
        error=record.error,
    )


def plain(raw: msgspec.Raw | msgspec.UnsetType) -> Any:
    """Raw JSON as plain data; nothing is None."""
    return None if raw is msgspec.UNSET else msgspec.json.decode(raw)


def moment(milliseconds: float) -> datetime:
    """Milliseconds of the epoch as a time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _unreadable(what: str, error: Exception) -> UnreadableError:
    return UnreadableError(
        f"{what} cannot be read: {error}",
        hint="restore the store from a backup; nothing was changed",
    )
