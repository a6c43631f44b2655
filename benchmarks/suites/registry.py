"""The agent registry beside a JSON database."""

from benchmarks.cases import Case, Program, Side, milliseconds_each

_OURS = Program("registry", "benchmarks.ours.registry")
_TINYDB = Program("registry", "benchmarks.peers.tinydb_registry", True, "tinydb")


def cases(quick: bool) -> list[Case]:
    """The rows."""
    sizes = [1_000] if quick else [1_000, 10_000]
    count = 5 if quick else 20
    return [
        _case(operation, what, size, count)
        for size in sizes
        for operation, what in (("update", "change one agent"), ("read", "look one agent up"))
    ]


def _case(operation: str, what: str, size: int, count: int) -> Case:
    parameters = {"count": count, "entries": size}
    tears = "fsync in place, a crash tears it"
    return Case(
        name=f"registry/{operation}-{size // 1000}k",
        what=f"{what} of {size:,}",
        unit="ms",
        survives="a power cut",
        ours=Side("holdfast", _OURS, operation, "power, atomic, undo kept", parameters),
        peers=(Side("TinyDB", _TINYDB, operation, tears, parameters),),
        figure=milliseconds_each,
        more_is_better=False,
        target={"TinyDB": 0.5 if operation == "update" else 0.01},
    )
