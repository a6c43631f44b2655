"""Durable workflows on SQLite and PostgreSQL."""

from dataclasses import replace

from benchmarks.cases import Case, Program, ServerKind, Side, Survives, per_second

_OURS = Program("workflows", "benchmarks.ours.workflows")
_DBOS = Program("workflows", "benchmarks.peers.dbos_workflows", True, "dbos")

_SURVIVES: dict[bool, Survives] = {False: "a crash", True: "a power cut"}
_HOW_DBOS = {False: "set to WAL NORMAL", True: "as shipped, rollback FULL"}
_HOW_OURS = {False: "process, WAL NORMAL", True: "power, WAL FULL"}


def cases(quick: bool) -> list[Case]:
    """The rows."""
    few = 10 if quick else 1
    steps = _case("steps-process", "steps of one run", "steps", 5_000 // few, 300 // few, False, 60)
    runs = _case(
        "runs", "3-step runs, one after the other", "runs", 1_000 // few, 60 // few, False, 40
    )
    at_once = _case(
        "runs-at-once", "400 3-step runs at once", "at_once", 400 // few, 400 // few, False, 40
    )
    return [
        steps,
        _case("steps-power", "steps of one run", "steps", 2_000 // few, 300 // few, True, 8),
        runs,
        at_once,
        *(_as_shipped(case) for case in (steps, runs, at_once)),
        _case("replay", "replay of 1,000 steps", "replay", 1_000 // few, 1_000 // few, False, 40),
        _case(
            "steps-postgresql",
            "steps of one run",
            "steps",
            2_000 // few,
            200 // few,
            True,
            8,
            server="postgresql",
        ),
        _long_run(100_000 // few, 1_000 // few),
    ]


def _case(
    name: str,
    what: str,
    operation: str,
    count: int,
    peer_count: int,
    power: bool,
    target: float,
    server: ServerKind | None = None,
) -> Case:
    def side(who: str, program: Program, how: str, work: int) -> Side:
        return Side(who, program, operation, how, {"count": work, "power": power}, server)

    ours, theirs = _HOW_OURS[power], _HOW_DBOS[power]
    if server is not None:
        ours = theirs = "synchronous_commit = on"
    return Case(
        name=f"workflows/{name}",
        what=what,
        unit="runs/s" if operation in ("runs", "at_once") else "steps/s",
        survives=_SURVIVES[power],
        ours=side("holdfast", _OURS, ours, count),
        peers=(side("DBOS", _DBOS, theirs, peer_count),),
        figure=per_second,
        target={"DBOS": target},
    )


def _as_shipped(case: Case) -> Case:
    """The same work beside DBOS without a tuned setting: what a user gets who changes nothing."""
    (peer,) = case.peers
    shipped = replace(
        peer, durability=_HOW_DBOS[True], parameters={**peer.parameters, "power": True}
    )
    return replace(
        case,
        name=f"{case.name}-shipped",
        what=f"{case.what} (DBOS survives a power cut as well)",
        peers=(shipped,),
        target={},
    )


def _long_run(many: int, few: int) -> Case:
    """A run of many steps beside runs of few: each step costs the same, and no memory stays."""

    def side(name: str, count: int) -> Side:
        return Side(name, _OURS, "long", _HOW_OURS[False], {"count": count, "power": False})

    return Case(
        name="workflows/long-run",
        what=f"a run of {many:,} steps beside one of {few:,}",
        unit="steps/s",
        survives="a crash",
        ours=side("holdfast", many),
        peers=(side("a short run", few),),
        figure=per_second,
        target={"a short run": 1 / 1.3},
        aside=lambda answer: f"{answer['memory'] / 1e6:.0f} MB at most",
    )
