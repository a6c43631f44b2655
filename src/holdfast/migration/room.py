"""What `migrate` asks of the mover of a room."""

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeVar

from holdfast.durable.files import Durability
from holdfast.durable.names import long_path
from holdfast.engines.urls import EngineUrl, parse_url
from holdfast.errors import NotFoundError, RefusedError, UsageError
from holdfast.migration.content import Content, Tally

Store = TypeVar("Store")
RoomName = Literal["workflows", "queues", "events"]


class Mover(Protocol):
    """Moves one room from the engine at `source` to the one at `target`, both URLs."""

    @property
    def engines(self) -> tuple[str, ...]:
        """The schemes of the URLs between which it moves."""
        ...

    def refuse_live(self, source: str, wait: float) -> None:
        """Raise `RefusedError` while somebody works on what the source holds.

        `wait` is how many seconds it may take him to come to an end.
        """
        ...

    def pauses(self, source: str) -> dict[str, bool]:
        """What of the source can be held, and whether it is held already."""
        ...

    def hold(self, source: str, held: Mapping[str, bool]) -> None:
        """Hold what `pauses` named as it says; what is held gives out no work."""
        ...

    def measure(self, url: str, names: list[str] | None, tally: Tally, now: float) -> Content:
        """What a store holds; of the names given only, where a store holds several things."""
        ...

    def names(self, url: str) -> list[str] | None:
        """The names of the things a store holds; None when it is one thing."""
        ...

    def copy(
        self, source: str, target: str, held: Mapping[str, bool], tally: Tally, now: float
    ) -> None:
        """Bring to the target what it has not yet; what is there already has to be the same.

        Raises `RefusedError` when the target holds something else.
        """
        ...


def check_ends(mover: Mover, room: RoomName, source: str, target: str) -> None:
    """Raise `UsageError` for URLs between which nothing can be moved."""
    ends = [parse_url(source), parse_url(target)]
    for end in ends:
        if end.scheme not in mover.engines:
            known = ", ".join(f"{scheme}://" for scheme in mover.engines)
            raise UsageError(f"{room} cannot be moved from or to {end}", hint=f"use {known}")
    if _place(ends[0]) == _place(ends[1]):
        raise UsageError(f"{ends[0]} is both the source and the target")
    if not is_there(source):
        raise NotFoundError(f"there are no {room}", path=ends[0].path)


def is_there(url: str) -> bool:
    """Whether the place of a store on this disk exists; a server is asked when it is opened."""
    path = parse_url(url).path
    return path is None or long_path(path).exists()


def differs(what: str, target: str) -> RefusedError:
    """The error for a target that holds something else than the source under the same name."""
    return RefusedError(
        f"{parse_url(target)} has {what}, and it is not what the source holds",
        hint="take another, empty target; nothing of it was changed",
    )


def as_sure_as_can_be(opened: Callable[[Durability], Store]) -> Store:
    """A target that survives power cuts, or, on a server that does not sync, processes only."""
    try:
        return opened("power")
    except UsageError:
        return opened("process")


def _place(end: EngineUrl) -> object:
    return end.path or (end.text.partition("?")[0] if end.scheme != "postgresql" else end.text)
