"""A workspace, the real server in a process of its own, and the SDK's own client before it."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.workspace.creation import create
from tests.conftest import child_environment


@dataclass(frozen=True)
class Answer:
    """What a tool answered: its object, or the text of its error."""

    data: dict[str, Any]
    error: str = ""


class Session:
    """The client, connected; ``await session.call("status")``."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> Answer:
        result = await self.client.call_tool(tool, arguments)
        text = "".join(getattr(each, "text", "") for each in result.content)
        if result.is_error:
            return Answer({}, text)
        return Answer(result.structured_content)


Talk = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    root = create(home / "development", home=home, examples=True).layout.root
    with open_workspace(root) as opened:
        yield opened


@pytest.fixture
def talk(workspace: Workspace, home: Path) -> Talk:
    """Hold a conversation with the real server: ``talk(conversation, mode="legacy")``."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters

    own = {"HOME": str(home), "USERPROFILE": str(home), "HOLDFAST_WORKSPACE": ""}
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-m", "holdfast", "mcp", "-w", str(workspace.layout.root)],
        env=child_environment(own),
        cwd=str(home),
    )

    def hold(conversation: Callable[[Session], Awaitable[Any]], mode: str = "auto") -> Any:
        async def run() -> Any:
            async with Client(parameters, mode=mode) as client:
                return await conversation(Session(client))

        return asyncio.run(asyncio.wait_for(run(), 120))

    return hold
