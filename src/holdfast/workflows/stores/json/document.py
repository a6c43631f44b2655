"""A run as one readable JSON document, and as the journal of what came since.

``<run id>.json`` holds the run with its steps. An opaque body stands in it as the JSON it is; what
is no compact JSON stands as ``{"base64": "…"}``. The document names its journal, whose lines
(`holdfast.durable.journal`) are the steps and blob uses recorded since the document was written.
"""

import base64
from pathlib import Path

import msgspec

from holdfast.durable import documents
from holdfast.durable.files import read_bytes
from holdfast.durable.journal import Contents, parse
from holdfast.errors import CorruptError, NotFoundError, UnreadableError
from holdfast.workflows.store import RunRow

NEWEST = 1
_NO_JSON = b'{"base64":'
_WAY_OUT = "restore the file from a backup; the other runs are not affected"


class StepEntry(msgspec.Struct, frozen=True):
    """A step in a document or a journal."""

    position: int
    body: msgspec.Raw


class BlobEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A journal's line that says the run uses a blob."""

    blob: str


class RunDocument(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """``<run id>.json``. Times are milliseconds of the epoch; `journal` is null once finished."""

    format_version: int = NEWEST
    id: str
    name: str
    status: str
    created: int
    finished: int | None
    owner: str | None
    epoch: int
    serial: int
    due: int | None
    priority: int
    journal: str | None
    body: msgspec.Raw
    outcome: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    signals: list[msgspec.Raw]
    blobs: list[str]
    steps: list[StepEntry]


_decode = msgspec.json.Decoder(RunDocument).decode
_decode_line = msgspec.json.Decoder(StepEntry).decode
_decode_blob = msgspec.json.Decoder(BlobEntry).decode
encode_line = msgspec.json.Encoder().encode


class State(msgspec.Struct):
    """Everything of one run: its row, its steps by position, its signals and the blobs it uses."""

    row: RunRow
    steps: dict[int, bytes] = {}
    signals: list[bytes] = []
    blobs: set[str] = set()
    journal: str | None = None


def wrap(data: bytes) -> msgspec.Raw:
    """Opaque bytes as JSON; see the module's text."""
    try:
        compact = not data.startswith(_NO_JSON) and msgspec.json.format(data, indent=-1) == data
    except msgspec.MsgspecError:
        compact = False
    if compact and _is_text(data):
        return msgspec.Raw(data)
    return msgspec.Raw(_NO_JSON + b'"' + base64.b64encode(data) + b'"}')


def unwrap(raw: msgspec.Raw) -> bytes:
    """The bytes that `wrap` was given. Raises `ValueError` when the base64 is damaged."""
    data = msgspec.json.format(bytes(raw), indent=-1)
    if not data.startswith(_NO_JSON):
        return data
    return base64.b64decode(data[len(_NO_JSON) + 1 : -2], validate=True)


def encode(state: State) -> bytes:
    """The document's bytes."""
    row = state.row
    document = RunDocument(
        id=row.id,
        name=row.name,
        status=row.status,
        created=row.created,
        finished=row.finished,
        owner=row.owner,
        epoch=row.epoch,
        serial=row.serial,
        due=row.due,
        priority=row.priority,
        journal=state.journal,
        body=wrap(row.body),
        outcome=msgspec.UNSET if row.outcome is None else wrap(row.outcome),
        signals=[wrap(signal) for signal in state.signals],
        blobs=sorted(state.blobs),
        steps=[StepEntry(at, wrap(state.steps[at])) for at in sorted(state.steps)],
    )
    return _text(document)


def read_document(path: Path, run_id: str) -> State:
    """The run in the file, without its journal.

    Raises `NotFoundError`, `UnreadableError` with line and column, `NewerFormatError`.
    """
    content = read_bytes(path)
    try:
        document = _decode(content)
        trusted = document.format_version <= NEWEST and _text(document) == content
    except (msgspec.MsgspecError, UnicodeDecodeError):
        trusted = False
    if not trusted:
        document = _strictly(content, path)
    if document.id != run_id:
        raise UnreadableError(
            f"the document holds the run {document.id!r}", path=path, hint=_WAY_OUT, line=1
        )
    try:
        return _state(document)
    except ValueError as error:
        raise UnreadableError(f"damaged base64: {error}", path=path, hint=_WAY_OUT) from error


def read_journal(path: Path, state: State) -> Contents:
    """Add to `state` what its journal holds. Raises `NotFoundError`, `CorruptError`."""
    contents = parse(read_bytes(path), path)
    for number, record in enumerate(contents.records, start=1):
        try:
            _add(record, state)
        except (msgspec.MsgspecError, ValueError) as error:
            raise CorruptError(
                f"no step of a run: {error}", path=path, line=number, column=1, hint=_WAY_OUT
            ) from error
    return contents


def journal_is_gone(path: Path, error: NotFoundError) -> UnreadableError:
    """The error for an unfinished run whose journal is not there."""
    return UnreadableError(
        "the journal of this unfinished run is gone", path=error.path or path, hint=_WAY_OUT
    )


def _text(document: RunDocument) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _strictly(content: bytes, path: Path) -> RunDocument:
    """A document that was not written by `encode`: edited by hand, newer, or damaged."""
    data = documents.parse_object(content, path)
    documents.check_format(data, path, NEWEST, content)
    plain = documents.Document(path, data, "", content)
    documents.convert(plain, _Checked)
    return _decode(content.removeprefix(b"\xef\xbb\xbf"))


class _CheckedStep(msgspec.Struct):
    position: int
    body: object


class _Checked(msgspec.Struct, rename="camel"):
    """The shape of a `RunDocument` for `documents.convert`, which knows lines but no raw JSON."""

    id: str
    name: str
    status: str
    created: int
    finished: int | None
    owner: str | None
    epoch: int
    serial: int
    due: int | None
    priority: int
    journal: str | None
    body: object
    signals: list[object]
    blobs: list[str]
    steps: list[_CheckedStep]


def _state(document: RunDocument) -> State:
    signals = [unwrap(raw) for raw in document.signals]
    row = RunRow(
        document.id,
        document.name,
        document.status,
        document.created,
        unwrap(document.body),
        document.owner,
        document.epoch,
        document.finished,
        None if document.outcome is msgspec.UNSET else unwrap(document.outcome),
        document.serial,
        document.due,
        document.priority,
        len(signals),
    )
    steps = {entry.position: unwrap(entry.body) for entry in document.steps}
    return State(row, steps, signals, set(document.blobs), document.journal)


def _add(record: bytes, state: State) -> None:
    try:
        step = _decode_line(record)
    except msgspec.ValidationError:
        state.blobs.add(_decode_blob(record).blob)
    else:
        state.steps[step.position] = unwrap(step.body)


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
