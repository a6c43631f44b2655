"""What the workflow room writes into a store's opaque bytes, as JSON, and what callers see of it.

Keys are camelCase; results and inputs stand in their record as the JSON they are, so that any JSON
tool can read them.
"""

from datetime import UTC, datetime
from typing import Any, Literal, cast

import msgspec

from holdfast.errors import UnreadableError
from holdfast.workflows.store import RunRow

Status = Literal["running", "succeeded", "failed", "cancelled"]


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


class RunBody(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a run that is fixed when it starts."""

    definition: Definition
    input: msgspec.Raw


class Outcome(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How a run ended: with a result, or with an error."""

    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Failure | None = None


class StepRecord(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A finished step: with a result, or with an error. `started` is in milliseconds of the epoch,
    `seconds` spans all attempts and the pauses between them."""

    id: str
    started: int
    seconds: float
    attempts: int = 1
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: Failure | None = None


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
    `serial` pages `Workflows.list`. `input` and `result` are plain JSON data.
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


encode = msgspec.json.Encoder().encode
_decode_step = msgspec.json.Decoder(StepRecord).decode
_decode_body = msgspec.json.Decoder(RunBody).decode
_decode_outcome = msgspec.json.Decoder(Outcome).decode


def read_step(body: bytes, run_id: str) -> StepRecord:
    """A recorded step. Raises `UnreadableError` when the bytes are none."""
    try:
        return _decode_step(body)
    except msgspec.MsgspecError as error:
        raise _unreadable(f"a recorded step of run {run_id}", error) from error


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


def run_info(row: RunRow, *, interrupted: bool) -> RunInfo:
    """A stored run as callers see it."""
    body = read_body(row)
    outcome = Outcome() if row.finished is None else read_outcome(row)
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


def moment(milliseconds: int) -> datetime:
    """Milliseconds of the epoch as a time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _unreadable(what: str, error: Exception) -> UnreadableError:
    return UnreadableError(
        f"{what} cannot be read: {error}",
        hint="restore the store from a backup; nothing was changed",
    )
