"""pgqueuer on PostgreSQL through asyncpg, its tables logged as shipped."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import asyncpg
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

_BATCH = 16  # jobs fetched, and reported as done, at a time


class Connection:
    def __init__(self, url: str, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._url = url
        self._name = name
        self._run(self._open())

    def put_each(self, bodies: Sequence[dict[str, Any]]) -> None:
        async def put() -> None:
            for body in bodies:
                await self._queries.enqueue(self._name, json.dumps(body).encode())

        self._run(put())

    def put_many(self, bodies: Sequence[dict[str, Any]]) -> None:
        payloads = [json.dumps(body).encode() for body in bodies]
        names, priorities = [self._name] * len(bodies), [0] * len(bodies)
        self._run(self._queries.enqueue(names, payloads, priorities))

    def work_off(self, count: int) -> None:
        self._run(self._work_off(count))

    def close(self) -> None:
        self._run(self._connection.close())
        self._loop.close()

    async def _open(self) -> None:
        self._connection = await asyncpg.connect(self._url)
        self._queries = Queries(AsyncpgDriver(self._connection))
        await self._queries.install()

    async def _work_off(self, count: int) -> None:
        connection = await asyncpg.connect(self._url)
        manager = QueueManager(Queries(AsyncpgDriver(connection)))
        done = 0

        @manager.entrypoint(self._name)
        async def job(job: Job) -> None:
            nonlocal done
            json.loads(job.payload or b"")
            done += 1
            if done >= count:
                manager.shutdown.set()

        await manager.run(batch_size=_BATCH, mode=QueueExecutionMode.continuous)
        await connection.close()

    def _run(self, work: Any) -> None:
        self._loop.run_until_complete(work)


def connect(url: str, name: str) -> Connection:
    """The queue `name` on the server at `url`."""
    return Connection(url, name)
