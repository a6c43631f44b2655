"""A tool call as Claude Code describes it to a hook."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from holdfast.errors import UnreadableError

SHELLS = ("Bash", "PowerShell")
FILE_TOOLS = {
    "Write": "file_path",
    "Edit": "file_path",
    "MultiEdit": "file_path",
    "NotebookEdit": "notebook_path",
}
"""The tools that change one file, and the key of their input that names it."""


class ToolCall(msgspec.Struct, frozen=True):
    """The keys of the hook's input that matter here; Claude Code sends more."""

    tool_name: str
    tool_input: dict[str, Any] = {}
    cwd: str = ""
    tool_use_id: str = ""

    @property
    def label(self) -> str:
        """The call as people recognise it, on one line."""
        what = self.tool_input.get("command") or self.tool_input.get(
            FILE_TOOLS.get(self.tool_name, ""), ""
        )
        return f"{self.tool_name}: {' '.join(str(what).split())}"

    @property
    def file(self) -> Path | None:
        """The one file it changes; None when that cannot be known."""
        named = self.tool_input.get(FILE_TOOLS.get(self.tool_name, ""))
        if not isinstance(named, str) or not named:
            return None
        return Path(self.cwd, named)

    @property
    def key(self) -> str | None:
        """What its point is found by when it has ended."""
        if not self.tool_use_id:
            return None
        return hashlib.sha256(self.tool_use_id.encode()).hexdigest()[:10]

    @property
    def goes_on(self) -> bool:
        """Whether the tool works on in the background when the call has ended."""
        return self.tool_input.get("run_in_background") is True


def parse(data: bytes) -> ToolCall:
    """The call in a hook's input. Raises `UnreadableError`."""
    try:
        return msgspec.json.decode(data, type=ToolCall)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableError(f"not a tool call: {error}") from error
