"""Running a Lua script on a Redis server with as little around it as the driver allows."""

from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis


class RedisScript:
    """The script in the file `name` of the package `package`.

    Goes past the client's own call of a command, which costs as much again as the round trip, but
    keeps to its connections: one that was cut while it lay idle is noticed and replaced.
    """

    def __init__(self, client: "Redis", package: str, name: str) -> None:
        self._client = client
        self._source = (files(package) / name).read_text(encoding="utf-8")
        self._name = sha1(self._source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: tuple[str, ...], *arguments: Any) -> Any:
        """The script's answer. Raises `redis.RedisError`."""
        from redis.exceptions import NoScriptError

        try:
            return self._run(keys, arguments)
        except NoScriptError:  # a new server, or one that was started again
            self._client.script_load(self._source)
            return self._run(keys, arguments)

    def _run(self, keys: tuple[str, ...], arguments: tuple[Any, ...]) -> Any:
        from redis.exceptions import ResponseError

        pool = self._client.connection_pool
        connection = pool.get_connection()
        try:
            connection.send_command(  # type: ignore[no-untyped-call]
                "EVALSHA", self._name, len(keys), *keys, *arguments
            )
            return connection.read_response()
        except ResponseError:
            raise
        except BaseException:  # an answer may still be on its way: nobody else must read it
            connection.disconnect()  # type: ignore[no-untyped-call]
            raise
        finally:
            pool.release(connection)
