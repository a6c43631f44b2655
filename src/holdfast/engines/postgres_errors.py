"""What an error of PostgreSQL means to the caller: https://www.postgresql.org/docs/current/errcodes-appendix.html"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.engines.urls import EngineUrl
from holdfast.errors import (
    BusyError,
    CorruptError,
    HoldfastError,
    NotFoundError,
    StorageError,
    UnreadableError,
)

if TYPE_CHECKING:
    import psycopg

_RETRY = "try again in a moment"
_LOST = "is the server running? What was not acknowledged may be kept or not; it can be repeated"

# SQLSTATE, or its first two characters: the error to raise, what happened, what to do.
_MEANINGS: dict[str, tuple[type[HoldfastError], str, str]] = {
    "53300": (BusyError, "has too many connections", f"raise max_connections, or {_RETRY}"),
    "53100": (StorageError, "has a full disk", "free some space there; the data is untouched"),
    "53200": (StorageError, "is out of memory", "give the server more memory"),
    "53": (StorageError, "is short of resources", _RETRY),
    "40": (BusyError, "was asked for two things at once that exclude each other", _RETRY),
    "55P03": (BusyError, "has the row locked by another", _RETRY),
    "57014": (BusyError, "cancelled the statement", _RETRY),
    "57": (StorageError, "was stopped or is starting", _LOST),
    "08": (StorageError, "lost the connection", _LOST),
    "28": (StorageError, "refused the user", "check the user and the password in the URL"),
    "3D": (NotFoundError, "has no such database", "create it with: createdb NAME"),
    "42501": (StorageError, "does not permit it", "grant CREATE on the database to the user"),
    "25006": (StorageError, "is read-only", "connect to the primary server"),
    "42P01": (UnreadableError, "has lost a table of Holdfast", "restore it from a backup"),
    "42703": (UnreadableError, "has lost a column of Holdfast", "restore it from a backup"),
    "XX001": (CorruptError, "found damaged data", "restore it from a backup"),
    "XX002": (CorruptError, "found a damaged index", "rebuild it with REINDEX"),
    "58": (StorageError, "had an error of its disk", "see the log of the server"),
}


@contextmanager
def postgres_errors(url: EngineUrl) -> Iterator[None]:
    """Turn a `psycopg.Error` of the body into one of Holdfast's that names the database."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _translated(error, url) from error


def cannot_connect(error: "psycopg.Error", url: EngineUrl) -> HoldfastError:
    """What a failed attempt to connect means; libpq gives it as text alone."""
    text = str(error)
    if "too many clients" in text or "remaining connection slots" in text:
        return _made("53300", error, url)
    if "does not exist" in text and "database" in text:
        return _made("3D", error, url)
    if "authentication failed" in text or "no password supplied" in text:
        return _made("28", error, url)
    return StorageError(
        f"cannot connect to {url}: {_first_line(error)}",
        hint="is the server running, and is the URL right?",
    )


def _translated(error: "psycopg.Error", url: EngineUrl) -> HoldfastError:
    import psycopg

    state = error.sqlstate
    if state is None and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        state = "08"
    return _made(state or "", error, url)


def _made(state: str, error: "psycopg.Error", url: EngineUrl) -> HoldfastError:
    meaning = _MEANINGS.get(state) or _MEANINGS.get(state[:2])
    if meaning is None:
        return StorageError(f"PostgreSQL at {url}: {_first_line(error)}")
    kind, what, hint = meaning
    return kind(f"PostgreSQL at {url} {what}: {_first_line(error)}", hint=hint)


def _first_line(error: "psycopg.Error") -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
