"""Prompts: what people ask again and again, with the tools that answer it."""

from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from pydantic import Field


def what_happened(
    since: Annotated[str, Field(max_length=64, description="yesterday, 12h, …")] = "yesterday",
) -> str:
    """What happened last night: runs, failures, dead letters, backups."""
    return f"""Tell me what happened in this workspace since {_quoted(since)}. Only read.

1. `status`: is everything healthy, when was it last backed up and proven, what is unprotected?
2. `runs_list` with that `since`: which runs succeeded, failed, are interrupted? `runs_show` for
   each that failed: which step, and why.
3. `logs_search` with that `since` and level WARNING.
4. `queues_list`, then `queue_dead` for each queue with dead letters.
5. `undo_list`: was anything destroyed?

Begin with one sentence: is all well? Then what went wrong, by importance, each with its cause and
the next step. Then what went well, in brief. Name ids, so that I can look myself."""


def bring_back(
    what: Annotated[str, Field(max_length=300, description="A file, a folder, an agent, …")] = "",
) -> str:
    """Bring back what I lost: find it, show the plan, restore it."""
    lost = _quoted(what) if what else "something; ask me what, and when I last had it"
    return f"""I lost this: {lost}.

1. `undo_list`: did a command or a tool take it away? Then `undo` without `confirm` shows the plan.
2. Else `backup_find` for every version in the snapshots. If there are several, ask me which.
3. `restore` that version without `confirm`: it goes to a folder of its own, nothing is replaced.
   Look whether it is what I meant.
4. Show me the plan for a restore in place, above all what would be replaced that is newer. Only
   when I agree, call `restore` again with the `confirm` of that plan.
5. Say what came back, and that `undo` takes it back again."""


def _quoted(text: str) -> str:
    """What the user typed, on one line, so that it stays a quotation."""
    return '"' + " ".join(text.split()).replace('"', "'")[:300] + '"'


def add_prompts(server: MCPServer[Any]) -> None:
    """Offer both."""
    server.prompt(name="what-happened-last-night", title="What happened last night")(what_happened)
    server.prompt(name="bring-back-what-i-lost", title="Bring back what I lost")(bring_back)
