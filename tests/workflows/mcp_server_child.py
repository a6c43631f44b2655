"""A real MCP server on standard input and output, whose tools note each call in ``called``."""

import os
import sys
import time
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("notes")


@server.tool()
def add_note(text: str, times: int = 1) -> dict[str, str | int]:
    """Keep a note."""
    with Path("called").open("a", encoding="utf-8") as ledger:
        ledger.write(os.environ["HOLDFAST_TASK_ID"] + "\n")
    return {"kept": text * times, "by": os.environ.get("AUTHOR", "")}


@server.tool()
def shout(text: str) -> str:
    """The text, louder."""
    return text.upper()


@server.tool()
def fail(until: str) -> str:
    """Fail until there is a file of that name."""
    print("a word on standard error", file=sys.stderr, flush=True)
    if not Path(until).exists():
        raise ToolError("not yet")
    return "done"


@server.tool()
def hang() -> str:
    """Answer much too late."""
    time.sleep(60)
    return "late"


if __name__ == "__main__":
    server.run()
