"""A log line, written through."""

from benchmarks.cases import Case, Program, Side, microseconds_each

_OURS = Program("logs", "benchmarks.ours.logs")
_STRUCTLOG = Program("logs", "benchmarks.peers.structlog_logs", True, "structlog")


def cases(quick: bool) -> list[Case]:
    """The row."""
    parameters = {"count": 5_000 if quick else 100_000}
    one_process = "flushed each line, safe in one process only"
    return [
        Case(
            name="logs/write",
            what="a line with six keys, written through",
            unit="µs",
            survives="a crash",
            ours=Side("holdfast", _OURS, "write", "safe with many processes", parameters),
            peers=(Side("structlog + orjson", _STRUCTLOG, "write", one_process, parameters),),
            figure=microseconds_each,
            more_is_better=False,
            target={"structlog + orjson": 0.6},
        )
    ]
