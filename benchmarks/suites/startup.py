"""How long it takes until something is there: whole processes, Python's own start included."""

from benchmarks.cases import Case, Program, Side, milliseconds_each

_OURS = Program("startup", "benchmarks.ours.startup")
_DBOS = Program("startup", "benchmarks.peers.dbos_startup", True, "dbos")


def cases(quick: bool) -> list[Case]:
    """The rows; they are quick anyway."""
    return [
        _case("import", "import holdfast", None),
        _case("open", "import holdfast, open a workspace", 0.2),
        _case("help", "holdfast --help", 0.2),
    ]


def _case(command: str, what: str, target: float | None) -> Case:
    return Case(
        name=f"startup/{command}",
        what=what,
        unit="ms",
        survives="nothing asked",
        ours=Side("holdfast", _OURS, "launch", "-", {"command": command}),
        peers=(Side("import dbos", _DBOS, "launch", "-", {"command": "import"}),),
        figure=milliseconds_each,
        more_is_better=False,
        target={} if target is None else {"import dbos": target},
    )
