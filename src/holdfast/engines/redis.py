"""Redis: one client that is durable as asked, and never takes an evicted key for an empty store.

Keys begin with ``holdfast:``; the hash ``holdfast:rooms`` has the format version of each room. The
client is safe between threads and after a fork, and connects anew by itself. It never repeats a
command on its own: one whose answer was lost may have been carried out. Needs the extra ``redis``.

What the server must be told, because a client cannot ask for it with a write:

- ``appendonly yes``: without the append-only file a restart forgets what was acknowledged.
- ``appendfsync no`` or ``always`` for ``process``, ``always`` for ``power``. The default
  ``everysec`` answers before it writes whenever a sync is under way (``flushAppendOnlyFile`` in
  aof.c), so that a kill -9 of the server loses what it acknowledged.
- ``maxmemory-policy noeviction``: else a full server forgets keys instead of refusing writes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from holdfast.durable.files import Durability
from holdfast.engines.urls import EngineUrl
from holdfast.errors import (
    BusyError,
    HoldfastError,
    MissingError,
    NewerFormatError,
    StorageError,
    UsageError,
)

if TYPE_CHECKING:
    from redis import Redis
    from redis.exceptions import RedisError

PREFIX = "holdfast:"
_ROOMS = PREFIX + "rooms"
_PATIENCE = 10.0  # seconds to connect, and to wait for an answer beyond what a command itself waits
_RETRY = "try again in a moment"
_LOST = "is the server running? What was not acknowledged may be kept or not; it can be repeated"
_SYNC = {"process": ("no", "always"), "power": ("always",)}


def open_redis(
    url: EngineUrl, *, room: str, version: int, durability: Durability = "process"
) -> "Redis":
    """A client (answers are bytes) of the server at `url`, whose keys of `room` have `version`.

    Raises `MissingError` (no driver), `StorageError` (no server), `BusyError` (starting, or too
    many clients), `NewerFormatError`, `UsageError` (the server is not as durable as asked).
    """
    client = _client(url)
    try:
        with redis_errors(url):
            _require_persistence(client, url, durability)
            _claim_version(client, url, room, version)
    except BaseException:
        client.close()
        raise
    return client


def _client(url: EngineUrl) -> "Redis":
    try:
        from redis import Redis
        from redis.backoff import ExponentialBackoff, NoBackoff
        from redis.exceptions import BusyLoadingError
        from redis.retry import Retry
    except ImportError as error:
        raise MissingError(
            f"Redis needs the driver redis: {error}", hint="pip install 'holdfast[redis]'"
        ) from error
    loading = Retry(ExponentialBackoff(cap=1.0, base=0.05), 12, (BusyLoadingError,))
    try:
        client = Redis.from_url(
            url.text, retry=Retry(NoBackoff(), 0), socket_connect_timeout=_PATIENCE
        )
    except ValueError as error:
        raise UsageError(f"{url} is not a URL of Redis: {error}") from error
    with redis_errors(url):  # a server that starts answers LOADING until it has read its file
        loading.call_with_retry(client.ping, lambda _: None)
    return client


@contextmanager
def redis_errors(url: EngineUrl) -> Iterator[None]:
    """Turn a `redis.RedisError` of the body into one of Holdfast's that names the server."""
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        raise _translated(error, url) from error


def _translated(error: "RedisError", url: EngineUrl) -> HoldfastError:
    from redis import exceptions

    text = str(error).strip() or type(error).__name__
    kind: type[HoldfastError] = StorageError
    if text.startswith("OOM") or isinstance(error, exceptions.OutOfMemoryError):
        what, hint = "is out of memory", "raise maxmemory; the data is untouched"
    elif "max number of clients" in text:
        kind, what, hint = BusyError, "has too many clients", f"raise maxclients, or {_RETRY}"
    elif isinstance(error, exceptions.BusyLoadingError):
        kind, what, hint = BusyError, "is still reading its data", _RETRY
    elif isinstance(error, exceptions.AuthenticationError):
        what, hint = "refused the user", "check the user and the password in the URL"
    elif isinstance(error, exceptions.NoPermissionError):
        what, hint = "does not permit it", "grant the command to the user with ACL SETUSER"
    elif isinstance(error, exceptions.ReadOnlyError):
        what, hint = "is read-only", "connect to the primary server"
    elif text.startswith("MISCONF"):
        what, hint = "cannot write to its disk", "free some space there; see the log of the server"
    elif isinstance(error, (exceptions.ConnectionError, exceptions.TimeoutError)):
        what, hint = "lost the connection", _LOST
    else:
        return StorageError(f"Redis at {url}: {text}")
    return kind(f"Redis at {url} {what}: {text}", hint=hint)


def _require_persistence(client: "Redis", url: EngineUrl, durability: Durability) -> None:
    allowed = _SYNC[durability]
    settings: dict[str, str] = {}
    for name in ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy"):
        settings.update(_texts(client.config_get(name)))
    if settings.get("appendonly") != "yes":
        raise _not_durable(url, durability, "it has no append-only file", "appendonly yes")
    if settings.get("appendfsync") not in allowed:
        cause = "it answers before it has written" + (
            " and synced" if durability == "power" else ""
        )
        raise _not_durable(url, durability, cause, f"appendfsync {allowed[0]}")
    if settings.get("maxmemory-policy") != "noeviction" and settings.get("maxmemory") != "0":
        cause = "it forgets keys when its memory is full"
        raise _not_durable(url, durability, cause, "maxmemory-policy noeviction")


def _not_durable(url: EngineUrl, durability: str, cause: str, setting: str) -> UsageError:
    return UsageError(
        f"Redis at {url} cannot keep the promise {durability!r}: {cause}",
        hint=f"redis-cli CONFIG SET {setting} && redis-cli CONFIG REWRITE",
    )


def _claim_version(client: "Redis", url: EngineUrl, room: str, version: int) -> None:
    stored: Any = client.hget(_ROOMS, room)
    if stored is None:
        client.hsetnx(_ROOMS, room, version)
        stored = client.hget(_ROOMS, room)
    if (found := int(stored)) > version:
        raise NewerFormatError(
            f"the keys of {room} in {url} have version {found}; this Holdfast knows {version}",
            hint="upgrade Holdfast; nothing was changed",
        )


def _texts(answer: Any) -> dict[str, str]:
    """The settings of a CONFIG GET, whether the client decodes answers or not."""

    def text(value: Any) -> str:
        return value.decode() if isinstance(value, bytes) else str(value)

    return {text(name): text(value) for name, value in answer.items()}
