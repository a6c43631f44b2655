"""How a tool is called: the workspace opened, the work in a thread, time bounded, errors told."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import anyio.to_thread
import msgspec
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

from holdfast.claude.masking import mask
from holdfast.errors import HoldfastError
from holdfast.facade import Workspace, workspace_at
from holdfast.mcp_server.answers import answer_of, error_text, masked_text

_TIME = 60.0  # seconds
_LABEL = 200  # characters

READS = ToolAnnotations(read_only_hint=True, destructive_hint=False, open_world_hint=False)
ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
DESTROYS = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)


class Tool(NamedTuple):
    """A function of an open workspace that is offered as a tool; its docstring describes it.

    `more` tells how to get what an answer left out, `seconds` is how long a caller waits for it.
    """

    function: Callable[..., Any]
    annotations: ToolAnnotations
    more: str = ""
    seconds: float = _TIME


class Desk:
    """Where tools get their workspace: opened for each call, so that nothing stays locked."""

    def __init__(self, root: Path, settings: tuple[str, ...] = ()) -> None:
        self.root = root
        self._settings = settings

    @contextmanager
    def workspace(self) -> Iterator[Workspace]:
        """The workspace as it is now. Raises `NotFoundError`, `UnreadableError`."""
        with workspace_at(self.root, self._settings) as workspace:
            yield workspace

    def callable(self, tool: Tool) -> Callable[..., Any]:
        """What the SDK calls: the tool's own parameters, without the workspace."""
        function = tool.function

        @functools.wraps(function)
        async def call(**arguments: Any) -> dict[str, Any]:
            work = functools.partial(self._perform, tool, arguments)
            try:
                with anyio.fail_after(tool.seconds):
                    return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
            except TimeoutError:
                raise ToolError(
                    f"not finished after {tool.seconds:g} s; it goes on in the background\n"
                    "hint: look later whether it is done, or ask for less at once"
                ) from None

        signature = inspect.signature(function)
        own = list(signature.parameters.values())[1:]
        call.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=own, return_annotation=dict[str, Any]
        )
        call.__annotations__ = {each.name: each.annotation for each in own} | {
            "return": dict[str, Any]
        }
        return call

    def _perform(self, tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call the tool in an open workspace; what it destroys is one undo point."""
        try:
            with self.workspace() as workspace:
                if tool.annotations.read_only_hint:
                    return answer_of(tool.function(workspace, **arguments), tool.more)
                with workspace.point(_label(tool, arguments)):
                    return answer_of(tool.function(workspace, **arguments), tool.more)
        except HoldfastError as error:
            raise ToolError(error_text(error)) from error


def _label(tool: Tool, arguments: dict[str, Any]) -> str:
    """What an undo point says of a call: the tool and what it was given."""
    given = {key: value for key, value in arguments.items() if value not in (None, [], "")}
    text = masked_text(msgspec.json.encode(mask(given)).decode())
    cut = f"{text[:_LABEL]}…" if len(text) > _LABEL else text
    return f"mcp {tool.function.__name__} {cut}"
