"""A search of the logs in a process of its own, which is ended when it takes too long.

A regular expression can keep Python busy for longer than the sun shines, and nothing in the same
process can stop it.
"""

import subprocess
import sys
from typing import Any

import msgspec

from holdfast.errors import HoldfastError, UsageError

_SECONDS = 30.0
_ERRORS = 4_000  # characters
_MODULE = "holdfast.mcp_server.searching"


class LogQuery(msgspec.Struct, frozen=True):
    """The conditions of a search, as `holdfast.logs.search` has them; times are texts."""

    root: str
    components: list[str]
    level: str | None
    since: str | None
    until: str | None
    task: str | None
    grep: str | None
    limit: int


def search_apart(query: LogQuery, *, seconds: float = _SECONDS) -> dict[str, Any]:
    """The answer of `search` in another process. Raises `UsageError` when that takes too long."""
    command = [sys.executable, "-P", "-m", _MODULE]
    try:
        done = subprocess.run(
            command,
            input=msgspec.json.encode(query),
            capture_output=True,
            timeout=seconds,
            check=False,
            cwd=query.root,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(
            f"the search was not finished after {seconds:g} s",
            hint="use a plainer `grep`, or narrow it by since, component or task",
        ) from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace")[-_ERRORS:]
        raise HoldfastError(f"the search failed: {said}")
    answer = msgspec.json.decode(done.stdout, type=dict[str, Any])
    if "error" in answer:
        error = answer["error"]
        raise UsageError(error["message"], path=error["path"], hint=error["hint"])
    return answer


def search(query: LogQuery) -> dict[str, Any]:
    """The newest lines that meet all conditions, oldest first; with a task, also what the run, its
    steps, messages and events have to say."""
    from holdfast.facade import open_workspace
    from holdfast.logs.reading import search as search_logs
    from holdfast.logs.times import parse_time
    from holdfast.upkeep.timeline import timeline

    problems: list[HoldfastError] = []
    with open_workspace(query.root) as workspace:
        found = search_logs(
            workspace.layout.logs,
            components=query.components,
            level=query.level,
            since=None if query.since is None else parse_time(query.since),
            until=None if query.until is None else parse_time(query.until),
            task=query.task,
            grep=query.grep,
            limit=query.limit,
        )
        told = found if query.task is None else timeline(workspace, found, query.task, problems)
        lines = [record.data for record in told]
    return {
        "lines": lines,
        "unreadable": {path.name: count for path, count in found.unreadable.items()},
        "notShown": [str(problem) for problem in problems],
    }


def main() -> None:
    """Answer the query on standard input."""
    query = msgspec.json.decode(sys.stdin.buffer.read(), type=LogQuery)
    try:
        answer = search(query)
    except HoldfastError as error:
        answer = {"error": error.as_dict()}
    sys.stdout.buffer.write(msgspec.json.encode(answer))


if __name__ == "__main__":
    main()
