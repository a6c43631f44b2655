"""The outbox: writes of another room that go into a database together with a step, or not at all.

A room that is about to commit a transaction opens an outbox for its database around the code that
leads up to it; rooms that live in the same database add their writes instead of committing them
alone. This is how a message is put exactly when the step that put it is recorded.
"""

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from holdfast.engines.urls import parse_url

Write = Callable[[Any], None]
"""Gets the engine's own connection, inside the transaction; what it raises rolls back all of it."""


_SERVER_OPTIONS = ("host", "hostaddr", "port", "service", "dbname")


def database_identity(url: str) -> str:
    """What rooms that live in the same database agree on: its URL without password and options.

    Options that say which server it is stay. Raises `UsageError` for what is no engine URL.
    """
    parsed = parse_url(url)
    if parsed.path is not None:
        return f"{parsed.scheme}:{parsed.path}"
    options = parsed.options
    server = [f"{name}={options[name]}" for name in _SERVER_OPTIONS if name in options]
    return "&".join([str(parsed).partition("?")[0], *server])


class Outbox:
    """The writes that wait for one transaction of the database with the identity `url`."""

    __slots__ = ("url", "writes")

    def __init__(self, url: str) -> None:
        self.url = url
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
    """The outbox that is open in this context, if it is of the database with the identity `url`."""
    outbox = _CURRENT.get()
    return outbox if outbox is not None and outbox.url == url else None


class open_outbox:  # noqa: N801 - used as a function: with open_outbox(identity) as outbox: …
    """An outbox for the database with the identity `url`, open in the body and what it calls."""

    __slots__ = ("_outbox", "_token")

    def __init__(self, url: str) -> None:
        self._outbox = Outbox(url)

    def __enter__(self) -> Outbox:
        self._token: Token[Outbox | None] = _CURRENT.set(self._outbox)
        return self._outbox

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._token)
