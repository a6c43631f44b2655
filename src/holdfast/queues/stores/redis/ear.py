"""PSUBSCRIBE: the connection on which a process hears which queues were put to."""

from collections.abc import Sequence
from typing import Any

from holdfast.engines.redis import PREFIX, redis_errors
from holdfast.engines.urls import EngineUrl

_CHANNELS = PREFIX + "*:meta"


class RedisEar:
    """A client of its own that listens; what it hears are the keys of queues and topics.

    Databases of one server share the channels, so it may hear too much, which does no harm.
    """

    def __init__(self, url: EngineUrl) -> None:
        from redis import Redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._url = url
        self._client = Redis.from_url(
            url.text, retry=Retry(NoBackoff(), 0), socket_connect_timeout=10.0
        )
        self._hearing: Any = self._client.pubsub(  # type: ignore[no-untyped-call]
            ignore_subscribe_messages=True
        )
        try:
            with redis_errors(url):
                self._hearing.psubscribe(_CHANNELS)
        except BaseException:
            self.close()
            raise

    def hear(self, seconds: float) -> Sequence[str]:
        """What was heard within `seconds`. Raises `StorageError` when the connection broke."""
        with redis_errors(self._url):
            message: Any = self._hearing.get_message(timeout=seconds)
        return [] if message is None else [message["channel"].decode()]

    def close(self) -> None:
        """Close the connection."""
        self._hearing.close()
        self._client.close()
