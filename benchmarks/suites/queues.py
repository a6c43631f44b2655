"""Queues on this disk: put, take and acknowledge, crews of processes; then those on servers."""

from collections.abc import Mapping
from typing import Any

from benchmarks.cases import Case, Program, Side, Survives, per_second
from benchmarks.suites import server_queues

_OURS = Program("queues", "benchmarks.ours.queues")
_LITEQUEUE = Program("queues", "benchmarks.peers.litequeue_queue", True, "litequeue")
_DISKCACHE = Program("queues", "benchmarks.peers.diskcache_queue", True, "diskcache")
_HUEY = Program("queues", "benchmarks.peers.huey_queue", True, "huey")
_APPEND = Program("queues", "benchmarks.peers.append_queue")

_SURVIVES: dict[bool, Survives] = {False: "a crash", True: "a power cut"}
_HOW_OURS = {False: "process", True: "power"}
_HOW_SQLITE = {False: "WAL NORMAL", True: "WAL FULL"}


def cases(quick: bool) -> list[Case]:
    """The rows."""
    few = 20 if quick else 1
    backlogs = [1_000, 4_000] if quick else [1_000, 4_000, 16_000, 256_000]
    return [
        _put(False, 20_000 // few),
        _put(True, 4_000 // few),
        _put_threads(4_800 // few),
        *(_take(backlog, False, 4_000 // few) for backlog in backlogs),
        _take(4_000, True, 2_000 // few),
        _flat(backlogs[-1], 4_000 // few),
        _crew(20_000 // few),
        *server_queues.cases(quick),
    ]


def _put(power: bool, count: int) -> Case:
    def side(name: str, program: Program, how: str) -> Side:
        return Side(name, program, "put", how, {"count": count, "power": power})

    floor = side("append", _APPEND, "append, fdatasync" if power else "append")
    return Case(
        name=f"queues/put-{_HOW_OURS[power]}",
        what="put one by one",
        unit="messages/s",
        survives=_SURVIVES[power],
        ours=side("holdfast", _OURS, _HOW_OURS[power]),
        peers=(*_sqlite_peers("put", power, {"count": count}), floor),
        figure=per_second,
        target={"append": 0.8} if power else {"litequeue": 4.0},
    )


def _put_threads(count: int) -> Case:
    many = {"count": count, "threads": 16, "power": True}
    one = {"count": count, "power": True}
    return Case(
        name="queues/put-power-16-threads",
        what="put by 16 threads, beside one appender",
        unit="messages/s",
        survives="a power cut",
        ours=Side("holdfast", _OURS, "put_threads", "power", many),
        peers=(Side("append", _APPEND, "put", "append, fdatasync", one),),
        figure=per_second,
        target={"append": 5.0},
    )


def _take(backlog: int, power: bool, count: int) -> Case:
    parameters = {"count": count, "backlog": backlog}
    ours = {**parameters, "power": power}
    return Case(
        name=f"queues/take-{_HOW_OURS[power]}-{backlog // 1000}k",
        what=f"take and ack one by one, {backlog:,} waiting",
        unit="messages/s",
        survives=_SURVIVES[power],
        ours=Side("holdfast", _OURS, "take", _HOW_OURS[power], ours),
        peers=_sqlite_peers("take", power, parameters),
        figure=per_second,
        target={"litequeue": 12.0} if backlog == 4_000 and not power else {},
    )


def _flat(backlog: int, count: int) -> Case:
    def side(name: str, waiting: int) -> Side:
        parameters = {"count": count, "backlog": waiting, "power": False}
        return Side(name, _OURS, "take", "process", parameters)

    little = "holdfast with 1,000"
    return Case(
        name="queues/take-flat",
        what=f"take and ack, {backlog:,} waiting beside 1,000",
        unit="messages/s",
        survives="a crash",
        ours=side("holdfast", backlog),
        peers=(side(little, 1_000),),
        figure=per_second,
        target={little: round(1 / 1.3, 2)},
    )


def _crew(count: int) -> Case:
    parameters = {"count": count, "workers": 4}
    return Case(
        name="queues/crew",
        what="4 producers and 4 consumers, end to end",
        unit="messages/s",
        survives="a crash",
        ours=Side("holdfast", _OURS, "crew", "process", {**parameters, "power": False}),
        peers=_sqlite_peers("crew", False, parameters),
        figure=per_second,
        target={"diskcache Deque": 2.5},
        aside=_counted,
    )


def _sqlite_peers(
    operation: str, power: bool, parameters: Mapping[str, Any]
) -> tuple[Side, Side, Side]:
    how = _HOW_SQLITE[power]
    given = {**parameters, "power": power}
    gone = f"{how}, gone when taken"
    return (
        Side("litequeue", _LITEQUEUE, operation, how, given),
        Side("diskcache Deque", _DISKCACHE, operation, gone, given),
        Side("huey SQLite", _HUEY, operation, gone if power else "WAL OFF, gone when taken", given),
    )


def _counted(answer: Mapping[str, Any]) -> str:
    return f"{answer['lost']} lost, {answer['doubled']} doubled"
