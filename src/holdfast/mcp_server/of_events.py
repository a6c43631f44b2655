"""Tools about the event log: append, read, list the streams."""

from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.facade import Workspace
from holdfast.mcp_server.inputs import Limit, Name, Names
from holdfast.mcp_server.tool import ADDS, READS, Tool

Version = Annotated[int, Field(ge=0)]


def event_append(
    workspace: Workspace,
    stream: Name,
    type: Name,  # noqa: A002
    data: Annotated[Any, Field(description="Any JSON.")] = None,
    expect: Annotated[
        Version | Literal["new"], Field(description="Only if the stream is at that version.")
    ]
    | None = None,
    key: Annotated[Name, Field(description="With the same key again, nothing is appended.")]
    | None = None,
) -> Any:
    """Append an event to a stream. It is kept when this returns, and never changed."""
    version, position = workspace.events.append(stream, type, data, expect=expect, key=key)
    return {"stream": stream, "version": version, "position": position}


def events_read(
    workspace: Workspace,
    stream: Name | None = None,
    start: Annotated[
        int, Field(ge=1, description="The first version (without a stream: position) to show.")
    ] = 1,
    types: Annotated[Names, Field(description="Only events of these types.")] = [],  # noqa: B006
    archived: bool = False,
    newest: Annotated[bool, Field(description="The last `limit` events up to now.")] = False,
    limit: Limit = 100,
) -> Any:
    """The events of a stream, or of all streams in the order they were appended."""
    log = workspace.events
    if newest and not archived:
        end = log.position() if stream is None else log.version(stream)
        start = max(start, end - limit + 1)
    found = log.read(stream, from_=start, limit=limit + 1, types=types or None, archived=archived)
    events = list(islice(found, limit + 1))
    following = events[limit] if len(events) > limit else None
    place = following and (following.position if stream is None else following.version)
    return {"events": events[:limit], "next": place}


def events_streams(
    workspace: Workspace, prefix: Annotated[str, Field(max_length=255)] = "", limit: Limit = 200
) -> Any:
    """The streams whose names begin with `prefix`, and the version each is at."""
    found = list(islice(workspace.events.streams(prefix), limit + 1))
    rows = [{"stream": name, "version": version} for name, version in found[:limit]]
    return {"streams": rows, "all": len(found) <= limit}


TOOLS = (
    Tool(event_append, ADDS),
    Tool(events_read, READS, "go on with `start`, or ask for fewer"),
    Tool(events_streams, READS, "ask for a prefix"),
)
