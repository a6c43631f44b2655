"""Where results are kept: small ones in their record, large ones once, by their content."""

import hashlib

import msgspec

from holdfast.errors import CorruptError, UnreadableError
from holdfast.workflows.records import Outcome, StepRecord
from holdfast.workflows.store import WorkflowStore

LARGE = 64 << 10  # bytes of JSON from which a result is kept once, by content

Raw = msgspec.Raw | msgspec.UnsetType


def put_result(store: WorkflowStore, run_id: str, data: bytes) -> tuple[Raw, str | None]:
    """The result as its record holds it: itself, or the digest under which it was kept."""
    if len(data) < LARGE:
        return msgspec.Raw(data), None
    digest = hashlib.sha256(data).hexdigest()
    store.save_blob(run_id, digest, data)
    return msgspec.UNSET, digest


def with_result(store: WorkflowStore, record: StepRecord) -> StepRecord:
    """The record with its large result in it. Raises `UnreadableError`, `CorruptError`."""
    if record.blob is None:
        return record
    return msgspec.structs.replace(record, result=_read(store, record.blob))


def with_large_result(store: WorkflowStore, outcome: Outcome) -> Outcome:
    """The outcome with its large result in it. Raises `UnreadableError`, `CorruptError`."""
    if outcome.blob is None:
        return outcome
    return msgspec.structs.replace(outcome, result=_read(store, outcome.blob))


def _read(store: WorkflowStore, digest: str) -> msgspec.Raw:
    data = store.read_blob(digest)
    way_out = "restore the store from a backup; nothing was changed"
    if data is None:
        raise UnreadableError(f"the large result {digest} is gone", hint=way_out)
    if hashlib.sha256(data).hexdigest() != digest:
        raise CorruptError(f"the large result {digest} does not match its name", hint=way_out)
    return msgspec.Raw(data)
