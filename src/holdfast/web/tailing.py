"""Log lines as pages show them, and new ones as server-sent events while they are written."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from holdfast.errors import HoldfastError
from holdfast.logs.lines import visible
from holdfast.logs.query import Query
from holdfast.logs.reading import Record, Search
from holdfast.web.page import Asked, asked_of
from holdfast.web.rendering import templates

_BEGINNING = 50  # lines that are shown at once
_MOST = 500  # lines of one look; the page keeps no more
_LOOKS_TO_BEAT = 50  # silent looks after which a stream says that it is alive


class Line:
    """One log line as it is shown: what would steer the page is made visible."""

    def __init__(self, record: Record) -> None:
        data = record.data
        self.data = data
        self.key = record.key
        self.level = visible(data.get("level", "")).upper()
        self.component = visible(data.get("component", record.path.stem))
        self.message = visible(data.get("message", ""))
        task = data.get("task_id")
        self.task = None if task is None else visible(task)
        self.run = None if self.task is None else self.task.partition(":")[0]


def tail_route(path: str, query_of: Callable[[Asked], Query]) -> Route:
    """The stream behind the live tail: ``lines`` are rows of its table, the newest first."""

    async def stream(request: Request) -> Response:
        query = query_of(asked_of(request, request.query_params))
        folder = await request.app.state.desk.look(lambda workspace: workspace.layout.logs)
        search = Search(folder, query, limit=_BEGINNING, follow=True)
        batches = search.batches()
        first = await anyio.to_thread.run_sync(next, batches)
        events = _events(search, first, batches, request.app.state.stopping)
        return StreamingResponse(events, media_type="text/event-stream")

    return Route(path, stream, methods=["GET"])


async def _events(
    search: Search,
    batch: list[Record],
    batches: Iterator[list[Record]],
    stopping: Callable[[], bool],
) -> AsyncIterator[str]:
    yield event("begin")
    unreadable = silent = 0
    while not stopping():
        silent = 0 if batch else silent + 1
        if len(batch) > _MOST:
            yield event("leftout", str(len(batch) - _MOST))
        if batch:
            yield event("lines", await anyio.to_thread.run_sync(_rows, batch[-_MOST:]))
        if (count := sum(search.unreadable.values())) != unreadable:
            unreadable = count
            yield event("unreadable", str(count))
        if silent == _LOOKS_TO_BEAT:
            silent = 0
            yield ": alive\n\n"
        try:
            # A look ends by itself when there is nothing new, so that the end is seen.
            batch = await anyio.to_thread.run_sync(next, batches)
        except HoldfastError:
            return  # the browser asks again, and is told what is wrong


def event(name: str, data: str = "") -> str:
    """One server-sent event."""
    lines = "".join(f"data: {line}\n" for line in _lines_of(data))
    return f"event: {name}\n{lines}\n"


def _lines_of(data: str) -> Iterator[str]:
    # As the browser ends lines: no others than these.
    yield from data.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _rows(batch: list[Record]) -> str:
    module: Any = templates().get_template("log_lines.html").module
    return str(module.log_lines([Line(record) for record in reversed(batch)]))
