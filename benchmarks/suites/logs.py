"""A log line, written through; a search through a day of lines."""

from collections.abc import Mapping
from typing import Any

from benchmarks.cases import Case, Program, Side, microseconds_each, seconds

_OURS = Program("logs", "benchmarks.ours.logs")
_STRUCTLOG = Program("logs", "benchmarks.peers.structlog_logs", True, "structlog")
_SEARCH = Program("search", "benchmarks.ours.search")
_PIPE = Program("search", "benchmarks.peers.pipe_search", False, "jq")
_DUCKDB = Program("search", "benchmarks.peers.duckdb_search", True, "duckdb")


def cases(quick: bool) -> list[Case]:
    """The rows."""
    lines = 20_000 if quick else 2_000_000
    return [
        _write(5_000 if quick else 100_000),
        _search("three", f"{lines:,} lines by level, text and six hours", lines, 1.3, 3.0),
        _search("narrow", f"{lines:,} lines by level, text and a minute", lines, 30.0, 30.0),
    ]


def _write(count: int) -> Case:
    parameters = {"count": count}
    one_process = "flushed each line, safe in one process only"
    return Case(
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


def _search(operation: str, what: str, lines: int, pipe: float, duckdb: float) -> Case:
    def side(name: str, program: Program) -> Side:
        return Side(name, program, operation, "read only", {"count": lines})

    return Case(
        name=f"logs/search-{operation}",
        what=what,
        unit="s",
        survives="nothing asked",
        ours=side("holdfast", _SEARCH),
        peers=(side("grep | grep | jq", _PIPE), side("DuckDB", _DUCKDB)),
        figure=seconds,
        more_is_better=False,
        target={"grep | grep | jq": round(1 / pipe, 3), "DuckDB": round(1 / duckdb, 3)},
        aside=_found,
    )


def _found(answer: Mapping[str, Any]) -> str:
    return f"{answer['count']:,} found"
