"""dramatiq on Redis, as shipped, with 8 threads: an actor that does nothing."""

import threading
from collections.abc import Sequence
from itertools import count as counting
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker

_THREADS = 8


class Connection:
    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self._worker: dramatiq.Worker | None = None
        self._open()

    def put_each(self, bodies: Sequence[dict[str, Any]]) -> None:
        self._end_worker()
        for body in bodies:
            self._actor.send(body)

    def put_many(self, bodies: Sequence[dict[str, Any]]) -> None:
        self.put_each(bodies)  # it has no other way

    def work_off(self, count: int) -> None:
        self._counter, self._count = counting(1), count
        self._all_done = threading.Event()
        self._worker = dramatiq.Worker(self._broker, worker_threads=_THREADS)
        self._worker.start()
        self._all_done.wait()

    def close(self) -> None:
        self._end_worker()
        self._broker.close()

    def _open(self) -> None:
        self._broker = RedisBroker(url=self._url)
        self._actor = dramatiq.actor(
            self._work, actor_name=self._name, queue_name=self._name, broker=self._broker
        )

    def _end_worker(self) -> None:
        """End the worker, outside of what is timed; a broker is good for one."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
            self._broker.close()
            self._open()

    def _work(self, body: dict[str, Any]) -> None:
        if next(self._counter) == self._count:
            self._all_done.set()


def connect(url: str, name: str) -> Connection:
    """The queue `name` on the server at `url`."""
    return Connection(url, name)
