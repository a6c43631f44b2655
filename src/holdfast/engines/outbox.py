"""The outbox: writes of another room that go into a database together with a step, or not at all.

A room that is about to commit a transaction opens an outbox for its database around the code that
leads up to it; rooms that live in the same database add their writes instead of committing them
alone. This is how a message is put exactly when the step that put it is recorded.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

Write = Callable[[Any], None]
"""Gets the engine's own connection, inside the transaction; what it raises rolls back all of it."""


class Outbox:
    """The writes that wait for one transaction of `database`, a `database_identity`."""

    __slots__ = ("database", "writes")

    def __init__(self, database: str) -> None:
        self.database = database
        self.writes: list[Write] = []

    def add(self, write: Write) -> None:
        """Have `write` done inside the transaction, after those added before."""
        self.writes.append(write)

    def deliver(self, connection: Any) -> None:
        """Do all writes on `connection`, whose transaction is open and stays open."""
        for write in self.writes:
            write(connection)


_CURRENT: ContextVar[Outbox | None] = ContextVar("holdfast_outbox", default=None)


def outbox_for(database: str) -> Outbox | None:
    """The outbox that is open in this context, if it is of `database`, a `database_identity`."""
    outbox = _CURRENT.get()
    if outbox is None or not database:
        return None
    return outbox if outbox.database == database else None


class open_outbox:  # noqa: N801 - used as a function: with open_outbox(identity) as outbox: …
    """An outbox for `database`, open in the body and in what it calls; ``""`` is nobody's."""

    __slots__ = ("_outbox", "_token")

    def __init__(self, database: str) -> None:
        self._outbox = Outbox(database)

    def __enter__(self) -> Outbox:
        self._token: Token[Outbox | None] = _CURRENT.set(self._outbox)
        return self._outbox

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)
