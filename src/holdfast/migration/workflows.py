"""Workflow state from one engine to another: runs with their steps, signals and large results."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import NamedTuple

from blake3 import blake3

from holdfast.durable.faults import fault_point
from holdfast.engines.urls import parse_url
from holdfast.errors import RefusedError, UnreadableError, UsageError
from holdfast.migration.content import Content, Tally
from holdfast.migration.room import as_sure_as_can_be, differs
from holdfast.workflows.leases import Leases
from holdfast.workflows.records import read_outcome, read_signal, read_step
from holdfast.workflows.store import MovableStore, RunRow, WorkflowStore, movable
from holdfast.workflows.stores import open_store

_PAGE = 1000  # rows a read
_LEASE = 60.0  # seconds, of a heartbeat that is only looked at once


class _Whole(NamedTuple):
    """A run with all that belongs to it, but the bytes of its large results."""

    row: RunRow
    steps: list[tuple[int, bytes]]
    signals: list[tuple[int, bytes]]
    blobs: list[str]


class WorkflowMover:
    """See `holdfast.migration.room.Mover`."""

    engines = ("json", "sqlite", "redis", "rediss", "postgresql")

    def refuse_live(self, source: str, wait: float) -> None:
        with closing(open_store(source, durability="process")) as store:
            leases = Leases(store, lease=_LEASE)
            owners = set(store.read_owners())
            alive = sorted(owners - leases.free_owners(owners))
            if alive:
                raise RefusedError(
                    f"runs are executed by {', '.join(map(leases.name_of, alive))}",
                    hint="let them end, stop workers, and run the same command again",
                )

    def pauses(self, source: str) -> dict[str, bool]:
        return {}

    def hold(self, source: str, held: Mapping[str, bool]) -> None:
        """Nothing can be held; who takes a run up raises its epoch, which is noticed."""

    def names(self, url: str) -> list[str] | None:
        return None

    def measure(self, url: str, names: list[str] | None, tally: Tally, now: float) -> Content:
        with closing(open_store(url, durability="process")) as store:
            for row in _rows(store):
                _add(tally, store, _whole(store, row))
            for name in _movable(store, url).note_names():
                tally.add("notes", name, store.read_note(name))
        return tally.content()

    def copy(
        self, source: str, target: str, held: Mapping[str, bool], tally: Tally, now: float
    ) -> None:
        with (
            closing(_movable(open_store(source, durability="process"), source)) as old,
            closing(
                as_sure_as_can_be(
                    lambda level: _movable(open_store(target, durability=level), target)
                )
            ) as new,
        ):
            for row in _rows(new):
                if old.read_run(row.id) is None:
                    raise differs(f"another run, {row.id}", target)
            for row in _rows(old):
                whole = _whole(old, row)
                _copy_run(old, new, whole, target)
                _add(tally, old, whole)
            for name in old.note_names():
                _copy_note(old, new, name, target)


def _copy_run(old: WorkflowStore, new: MovableStore, whole: _Whole, target: str) -> None:
    present = new.read_run(whole.row.id)
    if present is None:
        for digest in whole.blobs:
            new.save_blob(whole.row.id, digest, _blob(old, digest, whole.row.id))
            fault_point("migration.workflows.blob")
        if not new.put_run(*whole):
            raise differs(f"another run with the number of {whole.row.id}", target)
        fault_point("migration.workflows.run")
    elif _hash(new, _whole(new, present)) != _hash(old, whole):
        raise differs(f"another state of run {whole.row.id}", target)


def _copy_note(old: WorkflowStore, new: WorkflowStore, name: str, target: str) -> None:
    note, there = old.read_note(name), new.read_note(name)
    if note is None or note == there:
        return
    if there is not None or not new.swap_note(name, None, note):
        raise differs(f"another note {name!r}", target)


def _rows(store: WorkflowStore) -> Iterator[RunRow]:
    """All runs, the newest first. Raises `UnreadableError` for one that is damaged."""
    before: int | None = None
    while rows := store.list_runs(before=before, limit=_PAGE):
        for row in rows:
            if row.damage is not None:
                raise UnreadableError(f"run {row.id} cannot be read: {row.damage}")
            yield row
        before = rows[-1].serial


def _whole(store: WorkflowStore, row: RunRow) -> _Whole:
    """The run. Raises `UnreadableError` for a record that says nothing."""
    steps: list[tuple[int, bytes]] = []
    while page := store.read_steps(row.id, after=steps[-1][0] if steps else 0, limit=_PAGE):
        steps += [(at, bytes(body)) for at, body in page]
    signals = [(n, bytes(body)) for n, body in store.read_signals(row.id, after=0)]
    found = [read_step(body, row.id).blob for _, body in steps]
    for _, body in signals:
        read_signal(body, row.id)
    if row.outcome is not None:
        found.append(read_outcome(row).blob)
    return _Whole(row, steps, signals, sorted({digest for digest in found if digest is not None}))


def _add(tally: Tally, store: WorkflowStore, whole: _Whole) -> None:
    tally.add("runs", *whole.row[:13])
    for step in whole.steps:
        tally.add("steps", *step)
    for signal in whole.signals:
        tally.add("signals", *signal)
    for digest in whole.blobs:
        data = _blob(store, digest, whole.row.id)
        tally.add("results", digest, len(data), blake3(data).digest())


def _hash(store: WorkflowStore, whole: _Whole) -> str:
    tally = Tally()
    _add(tally, store, whole)
    return tally.content().hash


def _blob(store: WorkflowStore, digest: str, run_id: str) -> bytes:
    data = store.read_blob(digest)
    if data is None:
        raise UnreadableError(f"a large result of run {run_id} is gone: {digest}")
    return data


def _movable(store: WorkflowStore, url: str) -> MovableStore:
    found = movable(store)
    if found is None:
        raise UsageError(f"{parse_url(url)} cannot take over workflows")
    return found
