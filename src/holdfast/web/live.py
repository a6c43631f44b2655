"""What changed in the workspace, as server-sent events: the page then renews its live parts.

A change is seen by the files of a store (their times and sizes), so that looking costs nothing,
whoever made it. A store on a server is taken to have changed all the time.
"""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from holdfast.facade import Workspace

_PAUSE = 0.5  # seconds between two looks
_SERVER_PAUSE = 2  # seconds after which a store on a server counts as changed
_BEAT = 15.0  # seconds after which a silent stream says that it is alive
_MOST_FILES = 2_000  # of one store that are looked at
_DEEPEST = 2

Places = dict[str, Path | None]


def routes() -> list[Route]:
    """``/live?stores=workflows,queues``."""
    return [Route("/live", _stream, methods=["GET"])]


async def _stream(request: Request) -> Response:
    stores = [name for name in request.query_params.get("stores", "").split(",") if name]
    events = _events(request.app.state, stores)
    return StreamingResponse(events, media_type="text/event-stream")


async def _events(state: Any, stores: list[str]) -> AsyncIterator[str]:
    places = await state.desk.look(partial(places_of, stores=stores))

    async def look() -> dict[str, object]:
        seen = await anyio.to_thread.run_sync(stamps, places)
        seen["errands"] = state.errands.changes
        if "samples" in stores:
            seen["samples"] = state.samples.looks
        return seen

    before = await look()
    yield "event: ready\ndata:\n\n"
    said = time.monotonic()
    stopping: Callable[[], bool] = state.stopping
    while not stopping():
        await anyio.sleep(_PAUSE)
        now = await look()
        if now != before:
            changed = ",".join(name for name in now if now[name] != before.get(name))
            yield f"event: changed\ndata: {changed}\n\n"
            before, said = now, time.monotonic()
        elif time.monotonic() - said > _BEAT:
            yield ": alive\n\n"
            said = time.monotonic()


def places_of(workspace: Workspace, stores: list[str]) -> Places:
    """Where the named stores lie; None for one that is on a server or in memory."""
    layout = workspace.layout
    known: Places = dict.fromkeys(("workflows", "queues", "events"))
    known |= {name: layout.root / path for name, path in workspace.store_paths().items()}
    known |= {
        "backups": layout.backups,
        "quarantine": layout.quarantine,
        "points": layout.points,
        "services": layout.state / "services",
        "schedule": layout.schedule,
        "settings": layout.settings,
    }
    return {name: known[name] for name in stores if name in known}


def stamps(places: Places) -> dict[str, object]:
    """Something for each store that is another after a change of it."""
    return {name: _stamp(place) for name, place in places.items()}


def _stamp(place: Path | None) -> object:
    if place is None:
        return time.monotonic() // _SERVER_PAUSE
    if place.is_dir():
        return tuple(_below(place, 0, [_MOST_FILES]))
    # A database's changes are in its log before they are in itself. A log without any is as good
    # as none: whoever looks at a database makes one.
    return tuple(filter(None, (_facts(Path(f"{place}{suffix}")) for suffix in ("", "-wal"))))


def _facts(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size) if status.st_size else None


def _below(folder: Path, depth: int, left: list[int]) -> Iterator[object]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if left[0] <= 0:  # too many: at least what comes and goes is seen
                    yield folder.stat().st_mtime_ns
                    return
                if entry.name.endswith(".lock"):
                    continue
                left[0] -= 1
                if entry.is_dir(follow_symlinks=False):
                    if depth < _DEEPEST:
                        yield from _below(Path(entry.path), depth + 1, left)
                else:
                    status = entry.stat(follow_symlinks=False)
                    yield entry.name, status.st_mtime_ns, status.st_size
    except OSError:
        return
