"""Running a Lua script of a queue with as little around it as the driver allows."""

import os
from collections import deque
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
            if not _is_quiet(connection):
                connection.disconnect()
                connection.connect()
            connection.send_packed_command((command,))
            return connection.read_response()
        except ResponseError:
            raise
        except BaseException:  # an answer may still be on its way: nobody else must read it
            connection.disconnect()
            raise
        finally:
            self._idle.append(connection)

    def _take(self) -> Any:
        if os.getpid() != self._owner:
            self._idle, self._owner = deque(), os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return self.client.connection_pool.get_connection()


class Script:
    """The script in the file `name` beside this one, on the same `keys` each time."""

    def __init__(self, line: Line, name: str, keys: list[str]) -> None:
        self._line = line
        self._source = (files(__package__) / name).read_text(encoding="utf-8")
        digest = sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        fixed = ("EVALSHA", digest, len(keys), *keys)
        self._count = len(fixed)
        self._head = b"".join(map(_packed, fixed))

    def __call__(self, *arguments: Any) -> Any:
        """The script's answer. Raises `redis.RedisError`."""
        from redis.exceptions import NoScriptError

        count = b"*%d\r\n" % (self._count + len(arguments))
        command = b"".join((count, self._head, *map(_packed, arguments)))
        try:
            return self._line.ask(command)
        except NoScriptError:  # a new server, or one that was started again
            self._line.client.script_load(self._source)
            return self._line.ask(command)


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
