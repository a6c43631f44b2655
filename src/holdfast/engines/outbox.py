"""The outbox: writes of another room that go into a database together with a step, or not at all.

A room that is about to commit a transaction opens an outbox for its database around the code that
leads up to it; rooms that live in the same database add their writes instead of committing them
alone. This is how a message is put exactly when the step that put it is recorded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from holdfast.engines.identity import database_identity

Write = Callable[[Any], None]
"""Gets the engine's own connection, inside the transaction; what it raises rolls back all of it."""


class Outbox:
    """The writes that wait for one transaction of the database that `url` names."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = database_identity(url)
        self.writes: list[Write] = []

    def add(self, write: Write) -> None:
        """Have `write` done inside the transaction, after those added before."""
        self.writes.append(write)

    def deliver(self, connection: Any) -> None:
        """Do all writes on `connection`, whose transaction is open and stays open."""
        for write in self.writes:
            write(connection)


_CURRENT: ContextVar[Outbox | None] = ContextVar("holdfast_outbox", default=None)


def outbox_for(url: str) -> Outbox | None:
    """The outbox that is open in this context, if it belongs to the database that `url` names."""
    outbox = _CURRENT.get()
    if outbox is None or outbox.database is None:
        return None
    return outbox if outbox.database == database_identity(url) else None


@contextmanager
def open_outbox(url: str) -> Iterator[Outbox]:
    """An outbox for the database that `url` names, open in the body and what the body calls."""
    outbox = Outbox(url)
    token = _CURRENT.set(outbox)
    try:
        yield outbox
    finally:
        _CURRENT.reset(token)
