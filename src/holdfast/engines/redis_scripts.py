"""Running a Lua script on a Redis server with as little around it as the driver allows."""

import os
from collections import deque
from collections.abc import Sequence
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis


class Line:
    """Connections of a client's pool, kept out of it between two calls.

    A pool's own giving and taking costs as much as the round trip. A connection that was cut while
    it lay idle is noticed and replaced, as the pool does; a forked child takes its own.
    """

    def __init__(self, client: "Redis") -> None:
        self.client = client
        self._idle: deque[Any] = deque()
        self._owner = os.getpid()

    def ask(self, command: bytes) -> Any:
        """The answer to a packed command. Raises `redis.RedisError`."""
        from redis.exceptions import ResponseError

        connection = self._take()
        try:
            connection.send_packed_command((command,))
            answer = connection.read_response()
        except ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:  # an answer may still be on its way: nobody else must read it
            connection.disconnect()
            self._idle.append(connection)
            raise
        self._idle.append(connection)
        return answer

    def _take(self) -> Any:
        if os.getpid() != self._owner:
            self._idle, self._owner = deque(), os.getpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            return self.client.connection_pool.get_connection()
        if not _is_quiet(connection):
            connection.disconnect()
            connection.connect()
        return connection


class Script:
    """The script in the file `name` of the package `package`; `keys` are those of a plain call."""

    def __init__(self, line: Line, package: str, name: str, keys: Sequence[str] = ()) -> None:
        self._line = line
        self._source = (files(package) / name).read_text(encoding="utf-8")
        digest = sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        self._head = _packed("EVALSHA") + _packed(digest)
        self._key_count = len(keys)
        self._keys = _packed_keys(keys)

    def __call__(self, *arguments: Any) -> Any:
        """The script's answer. Raises `redis.RedisError`."""
        return self._run(self._key_count, self._keys, arguments)

    def on(self, keys: Sequence[str], *arguments: Any) -> Any:
        """The script's answer on `keys`."""
        return self._run(len(keys), _packed_keys(keys), arguments)

    def _run(self, key_count: int, keys: bytes, arguments: tuple[Any, ...]) -> Any:
        from redis.exceptions import NoScriptError

        count = b"*%d\r\n" % (3 + key_count + len(arguments))
        command = b"".join((count, self._head, keys, *map(_packed, arguments)))
        try:
            return self._line.ask(command)
        except NoScriptError:  # a new server, or one that was started again
            self._line.client.script_load(self._source)
            return self._line.ask(command)


def _packed_keys(keys: Sequence[str]) -> bytes:
    return b"".join(map(_packed, (len(keys), *keys)))


def _is_quiet(connection: Any) -> bool:
    """Whether an idle connection is open, and no answer lies on it that nobody waits for."""
    from redis.exceptions import RedisError

    try:
        return not connection.can_read()
    except (RedisError, OSError):
        return False


def _packed(argument: Any) -> bytes:
    """An argument as the protocol wants it."""
    data = argument if isinstance(argument, bytes) else str(argument).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)
