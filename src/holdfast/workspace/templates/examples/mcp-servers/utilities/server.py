"""An MCP server of small tools: time, hashing, JSON, text, and search in the workspace's files.

    python mcp-servers/utilities/server.py      speaks MCP on standard input and output

Nothing outside of the workspace is read, also not through links, and nothing is written.
"""

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

ROOT = Path(os.environ.get("HOLDFAST_WORKSPACE") or Path(__file__).parents[2]).resolve()
PASSED = {".git", ".holdfast", "node_modules", "__pycache__", ".venv", "venv"}
LARGEST = 5_000_000  # bytes of a file that is searched

server = MCPServer("utilities", instructions="Small tools that work offline, in the workspace.")

Algorithm = Literal["sha256", "sha512", "sha1", "md5", "blake2b"]


@server.tool()
def current_time(zone: str = "UTC") -> str:
    """The time now in an IANA time zone such as Europe/Berlin, as ISO 8601."""
    return datetime.now(_zone(zone)).isoformat(timespec="seconds")


@server.tool()
def convert_time(moment: str, zone: str) -> str:
    """An ISO 8601 moment in another time zone; one without an offset counts as UTC."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError as error:
        raise ToolError(f"{moment!r} is no ISO 8601 moment") from error
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=ZoneInfo("UTC"))
    return parsed.astimezone(_zone(zone)).isoformat(timespec="seconds")


@server.tool()
def hash_text(text: str, algorithm: Algorithm = "sha256") -> str:
    """The digest of a text's UTF-8 bytes, hexadecimal."""
    return hashlib.new(algorithm, text.encode()).hexdigest()


@server.tool()
def hash_file(path: str, algorithm: Algorithm = "sha256") -> str:
    """The digest of a file of the workspace, hexadecimal."""
    with _inside(path).open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


@server.tool()
def format_json(text: str, indent: int = 2, sort_keys: bool = False) -> str:
    """A JSON text laid out anew; says line and column when it is not valid."""
    return json.dumps(_json(text), indent=indent or None, sort_keys=sort_keys, ensure_ascii=False)


@server.tool()
def json_value(text: str, pointer: str) -> Any:
    """The value at a JSON Pointer (RFC 6901) such as /servers/0/name."""
    value = _json(text)
    if pointer and not pointer.startswith("/"):
        raise ToolError("a pointer begins with /")
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ToolError(f"nothing is at {key!r} of {pointer!r}") from error
    return value


@server.tool()
def count_text(text: str) -> dict[str, int]:
    """How many lines, words, characters and UTF-8 bytes a text has."""
    return {
        "lines": len(text.splitlines()),
        "words": len(text.split()),
        "characters": len(text),
        "bytes": len(text.encode()),
    }


@server.tool()
def compare_texts(before: str, after: str) -> str:
    """The difference of two texts as a unified diff; empty when they are equal."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="")
    return "\n".join(lines)


@server.tool()
def find_files(pattern: str, most: int = 100) -> list[str]:
    """Paths of the workspace that match a glob such as *.py or logs/*.log, sorted by name."""
    found = []
    for path in _files(ROOT):
        name = path.relative_to(ROOT)
        if name.match(pattern):
            found.append(name.as_posix())
            if len(found) >= most:
                break
    return found


@server.tool()
def search_text(pattern: str, folder: str = ".", most: int = 50) -> list[dict[str, Any]]:
    """Lines of the workspace's text files in which a regular expression is found."""
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ToolError(f"{pattern!r} is no regular expression: {error}") from error
    found: list[dict[str, Any]] = []
    for path in _files(_inside(folder)):
        for number, line in _lines(path):
            if wanted.search(line):
                name = path.relative_to(ROOT).as_posix()
                found.append({"path": name, "line": number, "text": line[:300]})
                if len(found) >= most:
                    return found
    return found


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ToolError(f"no time zone is called {name!r}") from error


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ToolError(f"line {error.lineno}, column {error.colno}: {error.msg}") from error


def _inside(path: str) -> Path:
    """The path in the workspace, links resolved; never anything outside of it."""
    try:
        place = (ROOT / path).resolve(strict=True)
    except (OSError, ValueError) as error:
        raise ToolError(f"there is no {path!r} in the workspace") from error
    if not place.is_relative_to(ROOT):
        raise ToolError(f"{path!r} lies outside of the workspace")
    return place


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder, sorted; links are not followed."""
    if folder.is_file():
        yield folder
        return
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in PASSED)
        for name in sorted(names):
            path = Path(top, name)
            if not path.is_symlink():
                yield path


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b"\0"
    except OSError:
        return
    if b"\0" not in content[:8192]:
        yield from enumerate(content.decode("utf-8", "replace").splitlines(), start=1)


if __name__ == "__main__":
    server.run()
