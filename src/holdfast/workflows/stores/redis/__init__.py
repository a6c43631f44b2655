"""``redis://…``: workflow state on a Redis server, shared by any number of machines.

All keys begin with ``holdfast:{workflows}:``; ``workflows.lua`` says what they hold, and does each
call atomically on the server. What a returned call survives is what the server was told to keep,
which `holdfast.engines.redis` checks on opening.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from holdfast.durable.faults import fault_point
from holdfast.durable.files import Durability
from holdfast.engines.redis import PREFIX, open_redis, redis_errors
from holdfast.engines.redis_scripts import Line, Script
from holdfast.engines.urls import EngineUrl
from holdfast.workflows.store import RunRow

FORMAT_VERSION = 1

_KEYS = PREFIX + "{workflows}:"
_FOREVER = 2**53
_BATCH = 1000  # values of one command


class RedisStore:
    """See `holdfast.workflows.store.WorkflowStore`."""

    shared_by_hosts = True

    def __init__(self, url: EngineUrl, *, durability: Durability = "process") -> None:
        self._url = url
        self._client = open_redis(
            url, room="workflows", version=FORMAT_VERSION, durability=durability
        )
        line = Line(self._client)
        self._script = Script(line, __package__, "workflows.lua", [_KEYS])
        self._record = Script(line, __package__, "record.lua")

    def create_run(self, run: RunRow, *, fork: tuple[str, int] | None = None) -> RunRow | None:
        source, below = fork or (None, 0)
        fixed = (run.id, run.name, run.status, run.created, run.body)
        where = (_optional(run.owner), run.epoch, _optional(run.due), run.priority)
        present = self._call("create", *fixed, *where, _optional(source), below)
        return None if present is None else _row(present)

    def read_run(self, run_id: str) -> RunRow | None:
        found = self._call("read", run_id)
        return None if found is None else _row(found)

    def list_runs(
        self,
        *,
        status: str | None = None,
        name: str | None = None,
        unfinished: bool = False,
        since: int | None = None,
        until: int | None = None,
        containing: bytes | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[RunRow]:
        index = "unfinished" if unfinished else "all"
        if status is not None:
            index = f"status:{status}"
        edges = (_or(since, -_FOREVER), _or(until, _FOREVER))
        piece = b"" if containing is None else b"=" + containing
        below = "+inf" if before is None else f"({before}"
        found: list[RunRow] = []
        while len(found) < limit:
            wanted = (limit - len(found), _optional(name), *edges, piece)
            page, reached = self._call("list", index, below, *wanted)
            rows = [_row(fields) for fields in page]
            found += [row for row in rows if not unfinished or row.finished is None]
            if reached is None:
                break
            below = f"({int(reached)}"
        return found

    def ready_runs(self, *, now: int, limit: int) -> list[RunRow]:
        return [_row(fields) for fields in self._call("ready", now, limit)]

    def count_runs(self) -> Mapping[str, int]:
        return {status.decode(): int(count) for status, count in self._call("count")}

    def claim_run(
        self,
        run_id: str,
        *,
        epoch: int,
        owner: str | None,
        status: str = "running",
        due: int | None = None,
        signals: int | None = None,
    ) -> bool:
        state = (_optional(owner), status, _optional(due), _or(signals, ""))
        return bool(self._call("claim", run_id, epoch, *state))

    def record_step(self, run_id: str, *, epoch: int, position: int, body: bytes) -> bool:
        keys = (f"{_KEYS}run:{run_id}", f"{_KEYS}steps:{run_id}")
        return bool(self._run(self._record.on, keys, epoch, position, body))

    def read_steps(self, run_id: str, *, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        return [(at, body) for at, body in self._call("steps", run_id, after, limit)]

    def finish_run(
        self, run_id: str, *, epoch: int, status: str, outcome: bytes, finished: int
    ) -> bool:
        return bool(self._call("finish", run_id, epoch, status, outcome, finished))

    def reopen_run(self, run_id: str, *, epoch: int, status: str, drop: Sequence[int]) -> bool:
        return bool(self._call("reopen", run_id, epoch, status, *drop))

    def add_signal(self, run_id: str, body: bytes) -> bool:
        return bool(self._call("signal", run_id, body))

    def read_signals(self, run_id: str, *, after: int) -> Sequence[tuple[int, bytes]]:
        with redis_errors(self._url):
            bodies: Any = self._client.lrange(f"{_KEYS}signals:{run_id}", after, -1)
        return list(enumerate(bodies, start=after + 1))

    def save_blob(self, run_id: str, digest: str, data: bytes) -> None:
        self._call("save_blob", run_id, digest, data)

    def read_blob(self, digest: str) -> bytes | None:
        with redis_errors(self._url):
            data: Any = self._client.get(f"{_KEYS}blob:{digest}")
        return None if data is None else bytes(data)

    def delete_runs(
        self, *, finished_before: int, limit: int, keep: Collection[str] = ()
    ) -> list[str]:
        return [run_id.decode() for run_id in self._call("delete", finished_before, limit, *keep)]

    def save_owner(self, owner: str, body: bytes) -> None:
        with redis_errors(self._url):
            self._client.hset(f"{_KEYS}owners", owner, body)

    def read_owners(self) -> Mapping[str, bytes]:
        with redis_errors(self._url):
            owners: Any = self._client.hgetall(f"{_KEYS}owners")
        return {owner.decode(): body for owner, body in owners.items()}

    def remove_owner(self, owner: str) -> None:
        with redis_errors(self._url):
            self._client.hdel(f"{_KEYS}owners", owner)

    def read_note(self, name: str) -> bytes | None:
        with redis_errors(self._url):
            body: Any = self._client.hget(f"{_KEYS}notes", name)
        return None if body is None else bytes(body)

    def swap_note(self, name: str, before: bytes | None, after: bytes) -> bool:
        return bool(self._call("swap", name, b"" if before is None else b"=" + before, after))

    def put_run(
        self,
        run: RunRow,
        steps: Sequence[tuple[int, bytes]],
        signals: Sequence[tuple[int, bytes]],
        blobs: Collection[str],
    ) -> bool:
        """As of every movable store. Steps and signals come first; the run is there at once."""
        if self.read_run(run.id) is not None:
            return False
        keys = (f"{_KEYS}steps:{run.id}", f"{_KEYS}signals:{run.id}")
        with redis_errors(self._url):
            self._client.delete(*keys)  # what a killed put left
            for start in range(0, len(steps), _BATCH):
                batch: Any = dict(steps[start : start + _BATCH])
                self._client.hset(keys[0], mapping=batch)
            for start in range(0, len(signals), _BATCH):
                self._client.rpush(keys[1], *(b for _, b in signals[start : start + _BATCH]))
        fault_point("workflow.redis.put")
        fixed = (run.id, run.name, run.status, run.created, run.body)
        where = (_optional(run.owner), run.epoch, _optional(run.due), run.priority)
        ended = b"" if run.outcome is None else b"=" + run.outcome
        end = (_optional(run.finished), ended, run.serial, run.signals)
        top = max((position for position, _ in steps), default=0)
        return bool(self._call("put", *fixed, *where, *end, top, *blobs))

    def note_names(self) -> list[str]:
        with redis_errors(self._url):
            names: Any = self._client.hkeys(f"{_KEYS}notes")
        return sorted(name.decode() for name in names)

    def close(self) -> None:
        self._client.close()

    def _call(self, operation: str, *arguments: Any) -> Any:
        return self._run(self._script, operation, *arguments)

    def _run(self, script: Callable[..., Any], *arguments: Any) -> Any:
        fault_point("workflow.redis.asked")
        with redis_errors(self._url):
            answer = script(*arguments)
        fault_point("workflow.redis.answered")
        return answer


def _row(fields: Sequence[bytes | None]) -> RunRow:
    """A run out of the fields in the order of `RunRow`."""
    run_id, name, status, created, body, owner, epoch, finished, outcome, *rest = fields
    serial, due, priority, signals = rest
    return RunRow(
        _text(run_id),
        _text(name),
        _text(status),
        _number(created),
        bytes(body or b""),
        None if owner is None else _text(owner),
        _number(epoch),
        None if finished is None else _number(finished),
        outcome,
        _number(serial),
        None if due is None else _number(due),
        _number(priority),
        _number(signals),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


def _number(value: bytes | None) -> int:
    return int(value or 0)


def _optional(value: object) -> str:
    """A value that tells an empty text from none."""
    return "" if value is None else f"={value}"


def _or(value: int | None, otherwise: int | str) -> int | str:
    return otherwise if value is None else value
