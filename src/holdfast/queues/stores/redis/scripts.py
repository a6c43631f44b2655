"""Running a Lua script of a queue with as little around it as the driver allows."""

from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis


class Script:
    """The script in the file `name` beside this one, on the same `keys` each time.

    Goes past the client's own call of a command, which costs as much again as the round trip, but
    keeps to its connections: one that was cut while it lay idle is noticed and replaced.
    """

    def __init__(self, client: "Redis", name: str, keys: list[str]) -> None:
        self._client = client
        self._source = (files(__package__) / name).read_text(encoding="utf-8")
        self._name = sha1(self._source.encode(), usedforsecurity=False).hexdigest()
        self._keys = (len(keys), *keys)

    def __call__(self, *arguments: Any) -> Any:
        """The script's answer. Raises `redis.RedisError`."""
        from redis.exceptions import NoScriptError

        try:
            return self._run(arguments)
        except NoScriptError:  # a new server, or one that was started again
            self._client.script_load(self._source)
            return self._run(arguments)

    def _run(self, arguments: tuple[Any, ...]) -> Any:
        from redis.exceptions import ResponseError

        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            connection.send_command(  # type: ignore[no-untyped-call]
                "EVALSHA", self._name, *self._keys, *arguments
            )
            return connection.read_response()
        except ResponseError:
            raise
        except BaseException:  # an answer may still be on its way: nobody else must read it
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        finally:
            pool.release(connection)
