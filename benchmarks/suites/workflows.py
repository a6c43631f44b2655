"""Durable workflows on SQLite."""

from benchmarks.cases import Case, Program, Side, Survives, per_second

_OURS = Program("workflows", "benchmarks.ours.workflows")
_DBOS = Program("workflows", "benchmarks.peers.dbos_workflows", True, "dbos")

_SURVIVES: dict[bool, Survives] = {False: "a crash", True: "a power cut"}
_HOW_DBOS = {False: "set to WAL NORMAL", True: "as shipped, rollback FULL"}
_HOW_OURS = {False: "process, WAL NORMAL", True: "power, WAL FULL"}


def cases(quick: bool) -> list[Case]:
    """The rows."""
    few = 10 if quick else 1
    return [
        _case("steps-process", "steps of one run", "steps", 5_000 // few, 300 // few, False, 60),
        _case("steps-power", "steps of one run", "steps", 2_000 // few, 300 // few, True, 8),
        _case(
            "runs", "3-step runs, one after the other", "runs", 1_000 // few, 60 // few, False, 40
        ),
        _case(
            "runs-at-once", "400 3-step runs at once", "at_once", 400 // few, 400 // few, False, 40
        ),
        _case("replay", "replay of 1,000 steps", "replay", 1_000 // few, 1_000 // few, False, 40),
    ]


def _case(
    name: str, what: str, operation: str, count: int, peer_count: int, power: bool, target: float
) -> Case:
    def side(who: str, program: Program, how: str, work: int) -> Side:
        return Side(who, program, operation, how, {"count": work, "power": power})

    return Case(
        name=f"workflows/{name}",
        what=what,
        unit="runs/s" if operation in ("runs", "at_once") else "steps/s",
        survives=_SURVIVES[power],
        ours=side("holdfast", _OURS, _HOW_OURS[power], count),
        peers=(side("DBOS", _DBOS, _HOW_DBOS[power], peer_count),),
        figure=per_second,
        target={"DBOS": target},
    )
