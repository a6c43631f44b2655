"""A room moved to another engine, as a durable workflow: held, copied, compared.

Its run is kept in ``.holdfast/migrations/``, which no snapshot holds. Killed anywhere, the same
call goes on: what the target has already is compared, not written again. Nothing of the source is
deleted.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from pathlib import Path
from typing import NamedTuple

import msgspec
from blake3 import blake3

from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder
from holdfast.durable.locks import Lock
from holdfast.engines.urls import url_for, without_password
from holdfast.errors import HoldfastError
from holdfast.migration.content import Content, Moved, Tally
from holdfast.migration.room import Mover, RoomName, check_ends, is_there
from holdfast.workflows import RunFailedError, StepFailedError, Workflows, step, workflow


class Plan(msgspec.Struct, frozen=True, rename="camel"):
    """What would be moved: what the source holds, and what the target holds already."""

    room: RoomName
    source: str
    target: str
    holds: Content
    there: Content | None


class MigrationReport(msgspec.Struct, frozen=True, rename="camel"):
    """A whole migration. `before` and `after` are the source's, `copied` the target's content.

    `held` are the queues that stay paused on the source. `resumed` when it went on with one that
    was interrupted.
    """

    run: str
    room: RoomName
    source: str
    target: str
    resumed: bool
    before: Content
    copied: Content
    after: Content
    held: list[str]

    @property
    def unchanged(self) -> bool:
        """Whether nobody wrote to the source meanwhile."""
        return self.before == self.after

    @property
    def healthy(self) -> bool:
        """Whether the target holds what the source holds."""
        return self.copied == self.after


class Order(msgspec.Struct, frozen=True, rename="camel"):
    """A migration; the URLs are without their passwords."""

    room: RoomName
    source: str
    target: str


class _Ends(NamedTuple):
    """What the steps work with in this process: the URLs as they were given, who is told.

    A run keeps an error as text; `errors` has it with its path and its hint.
    """

    source: str
    target: str
    wait: float
    moved: Moved | None
    errors: list[HoldfastError]


class _Start(msgspec.Struct, frozen=True, rename="camel"):
    """When a migration began, and what of the source was held before."""

    now: float
    held: dict[str, bool]


_ends: ContextVar[_Ends] = ContextVar("migration_ends")


@step
def begin(order: Order) -> _Start:
    """Note the time, and which queues are paused already."""
    with _noted():
        return _Start(time.time(), mover_of(order.room).pauses(_ends.get().source))


@step
def look(order: Order, start: _Start) -> Content:
    """What the source holds, now that it is held."""
    return _measured(order, start, _ends.get().source)


@step
def copy(order: Order, start: _Start, expected: int) -> None:
    """Bring to the target what it has not yet."""
    ends = _ends.get()
    tally = Tally(ends.moved, expected)
    with _noted():
        mover_of(order.room).copy(ends.source, ends.target, start.held, tally, start.now)
    fault_point("migration.copied")


@step
def compare(order: Order, start: _Start) -> tuple[Content, Content]:
    """What the target and the source hold in the end."""
    ends = _ends.get()
    return _measured(order, start, ends.target), _measured(order, start, ends.source)


@workflow(name="migrate", version="1")
def move_room(order: Order) -> tuple[_Start, Content, Content, Content]:
    """Hold, look, copy, compare. Holding is done by each process that goes on with it."""
    ends, mover = _ends.get(), mover_of(order.room)
    start = begin(order)
    mover.hold(ends.source, dict.fromkeys(start.held, True))
    try:
        with _noted():
            mover.refuse_live(ends.source, ends.wait)
        before = look(order, start)
        copy(order, start, before.size)
        copied, after = compare(order, start)
    except BaseException:
        mover.hold(ends.source, start.held)
        raise
    if copied != after:
        mover.hold(ends.source, start.held)
    return start, before, copied, after


def mover_of(room: RoomName) -> Mover:
    """The mover of a room."""
    if room == "workflows":
        from holdfast.migration.workflows import WorkflowMover

        return WorkflowMover()
    if room == "queues":
        from holdfast.migration.queues import QueueMover

        return QueueMover()
    from holdfast.migration.events import EventMover

    return EventMover()


def plan(room: RoomName, source: str, target: str) -> Plan:
    """What `migrate` would move; nothing is changed. Raises as it does."""
    mover, now = mover_of(room), time.time()
    check_ends(mover, room, source, target)
    names = mover.names(source)
    there = mover.measure(target, names, Tally(), now) if is_there(target) else None
    return Plan(
        room=room,
        source=without_password(source),
        target=without_password(target),
        holds=mover.measure(source, names, Tally(), now),
        there=there,
    )


def migrate(
    state: Path,
    room: RoomName,
    source: str,
    target: str,
    *,
    wait: float = 0.0,
    moved: Moved | None = None,
) -> MigrationReport:
    """Move a room from the engine at `source` to the one at `target`, or go on with that.

    `state` is where migrations keep their own runs. Who has messages out gets `wait` seconds.
    Raises `RefusedError` while somebody executes runs or has messages out, and when the target
    holds something else; `UnreadableError` for a damaged source; `BusyError` beside another one.
    """
    check_ends(mover_of(room), room, source, target)
    order = Order(room, without_password(source), without_password(target))
    make_folder(state, private=True)
    lock = Lock(state / "migrations.lock", purpose=f"move the {room}", timeout=0)
    with lock, Workflows(url_for("sqlite", state / "state.db")) as engine:
        context = copy_context()
        errors: list[HoldfastError] = []
        context.run(_ends.set, _Ends(source, target, wait, moved, errors))
        begun, run_id = _run_of(engine, order)
        try:
            if begun:
                result = context.run(engine.retry, run_id, inline=True).result()
            else:
                result = context.run(engine.run, move_room, (order,), run_id=run_id)
        except (StepFailedError, RunFailedError) as error:
            raise (errors or [error])[-1] from None
    start, before, copied, after = result
    return MigrationReport(
        run=run_id,
        room=room,
        source=order.source,
        target=order.target,
        resumed=begun,
        before=before,
        copied=copied,
        after=after,
        held=sorted(start.held) if copied == after else [],
    )


def _run_of(engine: Workflows, order: Order) -> tuple[bool, str]:
    """Whether this migration was interrupted, and its run; a new one when it was not."""
    mark = blake3(msgspec.json.encode(order)).hexdigest()[:12]
    runs = engine.list(name="migrate", text=order.source, limit=1000)
    mine = [run for run in runs if run.id.startswith(f"{order.room}-{mark}-")]
    if mine and mine[0].status not in ("succeeded", "failed", "cancelled"):
        return True, mine[0].id
    return False, f"{order.room}-{mark}-{len(mine) + 1}"


@contextmanager
def _noted() -> Iterator[None]:
    try:
        yield
    except HoldfastError as error:
        _ends.get().errors.append(error)
        raise


def _measured(order: Order, start: _Start, url: str) -> Content:
    mover, ends = mover_of(order.room), _ends.get()
    with _noted():
        return mover.measure(url, mover.names(ends.source), Tally(), start.now)
