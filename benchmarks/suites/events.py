"""The event log: append one by one and in batches, read back; on SQLite and on PostgreSQL."""

from typing import Any

from benchmarks.cases import Case, Program, ServerKind, Side, Survives, per_second

_OURS = Program("events", "benchmarks.ours.events")
_PEER = Program("events", "benchmarks.peers.eventsourcing_log", True, "eventsourcing")

_NAME = "eventsourcing"


def cases(quick: bool) -> list[Case]:
    """The rows."""
    few = 20 if quick else 1
    rows = []
    for engine, power in (("sqlite", False), ("sqlite", True), ("postgres", True)):
        rows.append(_append(engine, power, 2_000 // few))
        rows.append(_batch(engine, power, 20_000 // few))
        if (engine, power) != ("sqlite", False):
            rows.append(_read(engine, 20_000 // few))
    rows.append(_flat("sqlite", 2_000 // few, 200_000 // few))
    rows.append(_flat("postgres", 1_000 // few, 200_000 // few))
    return rows


def _append(engine: str, power: bool, count: int) -> Case:
    target = {"sqlite": 1.2, "postgres": 3.0}[engine]
    what = f"append one by one, {_title(engine)}"
    return _row("append", engine, power, what, {"count": count}, target)


def _batch(engine: str, power: bool, count: int) -> Case:
    target = {"sqlite": 2.0, "postgres": 3.0}[engine]
    what = f"append in batches of 100, {_title(engine)}"
    return _row("append_many", engine, power, what, {"count": count, "batch": 100}, target)


def _read(engine: str, count: int) -> Case:
    return _row("read", engine, True, f"read all back, {_title(engine)}", {"count": count}, 2.0)


def _flat(engine: str, count: int, history: int) -> Case:
    def side(name: str, before: int) -> Side:
        parameters = {"count": count, "power": False, "history": before}
        return Side(name, _OURS, "append", _how(engine, False), parameters, _server(engine))

    little = "holdfast with 2,000"
    return Case(
        name=f"events/{engine}-flat",
        what=f"append one by one, {history:,} in the log beside 2,000, {_title(engine)}",
        unit="events/s",
        survives="a crash" if engine == "sqlite" else "a power cut",
        ours=side("holdfast", history),
        peers=(side(little, 2_000),),
        figure=per_second,
        target={little: round(1 / 1.3, 2)},
    )


def _row(
    operation: str, engine: str, power: bool, what: str, parameters: dict[str, Any], target: float
) -> Case:
    def side(name: str, program: Program, how: str) -> Side:
        given = {**parameters, "power": power}
        return Side(name, program, operation, how, given, _server(engine))

    survives: Survives = "a power cut" if power else "a crash"
    kind = {"append": "append", "append_many": "batch", "read": "read"}[operation]
    asked = "" if operation == "read" or engine == "postgres" else _durability(power)
    how = _how(engine, power)
    return Case(
        name=f"events/{engine}-{kind}{asked}",
        what=what,
        unit="events/s",
        survives="nothing asked" if operation == "read" else survives,
        ours=side("holdfast", _OURS, how),
        peers=(side(_NAME, _PEER, how),),
        figure=per_second,
        target={_NAME: target},
    )


def _server(engine: str) -> ServerKind | None:
    return "postgresql" if engine == "postgres" else None


def _how(engine: str, power: bool) -> str:
    if engine == "postgres":
        return "fsync, synchronous_commit on"
    return "WAL FULL" if power else "WAL NORMAL"


def _durability(power: bool) -> str:
    return "-power" if power else "-process"


def _title(engine: str) -> str:
    return {"sqlite": "SQLite", "postgres": "PostgreSQL"}[engine]
