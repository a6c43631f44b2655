"""Tools that search: the workspace's logs, and what was said in Claude Code's sessions."""

from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.facade import Workspace
from holdfast.mcp_server.inputs import Limit, Moment, Name, Names, Text
from holdfast.mcp_server.tool import READS, Tool


def logs_search(
    workspace: Workspace,
    component: Annotated[Names, Field(description="Only these; 'agent-*' works.")] = [],  # noqa: B006
    level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        Field(description="This level and above."),
    ]
    | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    task: Annotated[
        Name, Field(description="A task id, or a run's id: its steps, messages, events are told.")
    ]
    | None = None,
    grep: Annotated[
        Text, Field(description="A regular expression for the message or the further values.")
    ]
    | None = None,
    limit: Annotated[Limit, Field(description="The newest so many lines.")] = 50,
) -> Any:
    """Search the workspace's JSON logs, oldest line first, rotated and compressed files included.
    All conditions hold together."""
    from holdfast.mcp_server.searching import LogQuery, search_apart

    root = str(workspace.layout.root)
    return search_apart(LogQuery(root, component, level, since, until, task, grep, limit))


def transcripts_search(
    workspace: Workspace,
    text: Annotated[str, Field(max_length=2_000, description="In any case; none: all.")] = "",
    role: Literal["user", "assistant"] | None = None,
    session: Annotated[
        str, Field(pattern=r"^[0-9A-Za-z-]{0,64}$", description="The beginning of a session's id.")
    ] = "",
    since: Moment | None = None,
    until: Moment | None = None,
    limit: Limit = 20,
) -> Any:
    """Search what was said in Claude Code's sessions in this workspace and its home, tool calls and
    their results included; the newest first."""
    from holdfast.claude.places import claude_places
    from holdfast.claude.transcripts import Wanted, search_transcripts
    from holdfast.logs.times import parse_time

    layout = workspace.layout
    wanted = Wanted(
        folders=(layout.root,),
        places=(layout.home,),
        text=text,
        role=role,
        session=session,
        since=None if since is None else parse_time(since),
        until=None if until is None else parse_time(until),
    )
    return search_transcripts(claude_places(layout.home).transcripts, wanted, limit=limit)


TOOLS = (
    Tool(logs_search, READS, "ask for fewer lines, or narrow it by since, level or grep"),
    Tool(transcripts_search, READS, "ask for fewer, or narrow it by since, session or text"),
)
