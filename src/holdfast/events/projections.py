"""Projections: a state computed from events, kept together with the position it holds."""

from collections.abc import Callable
from typing import Any

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.errors import CorruptError, NewerFormatError, UsageError
from holdfast.events.event import Event, Shapes
from holdfast.events.store import EventStore, State

_PAGE = 1000  # events between two stores of a state that catches up


class KeptState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A state as it is stored, and the version of the code that computed it."""

    state: Any
    v: int = 1


class Projection:
    """A state that follows the log. Made by `EventLog.projection`.

    ::

        balances = log.projection("balances", add_up, types=["deposited", "withdrawn"])
        balances.update()        # applies what is new, and returns the state
        balances.rebuild()       # computes all of it anew; readers see the old state until then

    State and position are stored in one write, so each event is applied exactly once to what is
    kept, also when several processes update it. `apply` must have no other effect.
    """

    def __init__(
        self,
        store: EventStore,
        shapes: Shapes,
        name: str,
        apply: Callable[[Any, Event], Any],
        initial: Callable[[], Any],
        types: frozenset[str] | None,
        type_: Any,
        version: int,
    ) -> None:
        self.name = name
        self._store = store
        self._shapes = shapes
        self._apply = apply
        self._initial = initial
        self._types = types
        self._type = type_
        self._version = version

    @property
    def state(self) -> Any:
        """What is stored, or the initial state; see `update`. Raises `UnreadableError`."""
        return self._load()[1]

    @property
    def position(self) -> int:
        """The position up to which the stored state holds."""
        return self._load()[0]

    def update(self) -> Any:
        """Apply the events that are not in the stored state yet; returns the state."""
        position, state, stored = self._load()
        while True:
            end, state, applied = self._fold_page(position, state)
            # Events of other types are passed over without a write, until they are many.
            if not applied and end - position < _PAGE:
                return state
            if self._save(end, state, replaces=stored):
                position = stored = end
            else:  # another process was faster
                position, state, stored = self._load()

    def rebuild(self) -> Any:
        """Compute the state anew from the first event; returns it."""
        while True:
            present = self._store.read_state("projection", self.name)
            position, state = self._fold_all()
            replaces = None if present is None else present.at
            if (present is None and not position) or self._save(position, state, replaces=replaces):
                return state

    def _fold_all(self) -> tuple[int, Any]:
        position, state, applied = 0, self._initial(), 1
        while applied:
            position, state, applied = self._fold_page(position, state)
        return position, state

    def _fold_page(self, position: int, state: Any) -> tuple[int, Any, int]:
        """Apply a page of events: up to where, the next state, and how many were applied."""
        end = self._store.head()
        rows = self._store.read(stream=None, after=position, limit=_PAGE, types=self._types)
        for event in self._shapes.events(rows):
            state = self._apply(state, event)
        last = rows[-1][0] if rows else position
        return (last if len(rows) == _PAGE else max(last, end)), state, len(rows)

    def _load(self) -> tuple[int, Any, int | None]:
        """Position, state, and the position that is stored (None: nothing is).

        A state of older code counts as the initial one; the next update replaces it.
        """
        present = self._store.read_state("projection", self.name)
        if present is None:
            return 0, self._initial(), None
        kept = unpack(present.body, self._type, self._version, f"the projection {self.name!r}")
        if kept is None:
            return 0, self._initial(), present.at
        return present.at, kept.state, present.at

    def _save(self, position: int, state: Any, *, replaces: int | None) -> bool:
        body = pack(state, self._version, f"the projection {self.name!r}")
        fault_point("events.projected")
        return self._store.save_state(
            "projection", self.name, State(position, body), replaces=replaces
        )


def pack(state: Any, version: int, what: str) -> bytes:
    """The bytes of a state. Raises `UsageError` for what JSON cannot hold."""
    try:
        return msgspec.json.encode(KeptState(state, version))
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise UsageError(f"the state of {what} cannot be written as JSON: {error}") from error


def unpack(body: bytes, type_: Any, version: int, what: str) -> KeptState | None:
    """The state in `body`; None when older code computed it.

    Raises `NewerFormatError`, and `CorruptError` for one that is no `type_`.
    """
    try:
        kept = msgspec.json.decode(body, type=KeptState)
        if kept.v > version:
            raise NewerFormatError(
                f"{what} was computed by version {kept.v} of the code; this is {version}",
                hint="run the newer program, or rebuild under another name",
            )
        if kept.v < version:
            return None
        return KeptState(msgspec.convert(kept.state, type_), kept.v)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptError(
            f"the stored state of {what} cannot be read: {error}",
            hint="raise its version, so that it is computed anew",
        ) from error
