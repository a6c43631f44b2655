"""What was said in Claude Code's sessions: transcripts read and searched, never written.

A transcript is ``projects/<slug>/<session>.jsonl``. The slug is lossy, so that where a session took
place is told by each record's ``cwd``. Lines that cannot be read are counted, never an error.
"""

import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.durable.names import long_path
from holdfast.errors import storage_errors

Role = Literal["user", "assistant"]

_AROUND = 400  # characters shown on either side of what was looked for


class Said(msgspec.Struct, frozen=True, rename="camel"):
    """One record of a session: when (UTC), who, where, and the part of its text that matters."""

    session: str
    at: datetime
    role: str
    cwd: str
    text: str
    path: str
    line: int


class TranscriptSearch(msgspec.Struct, frozen=True, rename="camel"):
    """What was found, the newest first. `complete`: all transcripts in question were read."""

    found: list[Said]
    transcripts: int
    unreadable: int
    complete: bool


class Wanted(msgspec.Struct, frozen=True):
    """What is looked for. `text` in any case; sessions in or below one of `folders`, or at one of
    `places` itself; `session` is the beginning of an id."""

    folders: Sequence[Path]
    places: Sequence[Path] = ()
    text: str = ""
    role: Role | None = None
    session: str = ""
    since: datetime | None = None
    until: datetime | None = None


def search_transcripts(
    transcripts: Path, wanted: Wanted, *, limit: int = 50, seconds: float = 20.0
) -> TranscriptSearch:
    """Search the folder `transcripts` for at most `seconds`; the newest `limit` records.

    Raises `StorageError`.
    """
    deadline = time.monotonic() + seconds
    found: list[Said] = []
    unreadable = read = 0
    for path, changed in _newest_first(transcripts, wanted):
        # Nothing in a file is newer than its last change.
        if len(found) >= limit and changed <= found[limit - 1].at:
            break
        if time.monotonic() > deadline:
            return TranscriptSearch(found[:limit], read, unreadable, complete=False)
        records = _Records(path, wanted)
        found = sorted([*found, *records], key=lambda said: said.at, reverse=True)[:limit]
        unreadable += records.unreadable
        read += 1
    return TranscriptSearch(found, read, unreadable, complete=True)


def _newest_first(transcripts: Path, wanted: Wanted) -> list[tuple[Path, datetime]]:
    files = []
    with storage_errors(transcripts, "list the transcripts"):
        for path in long_path(transcripts).glob("*/*.jsonl"):
            if path.is_symlink() or not path.name.startswith(wanted.session):
                continue
            changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            if wanted.since is None or changed >= wanted.since:
                files.append((path, changed))
    return sorted(files, key=lambda each: each[1], reverse=True)


class _Records:
    """The wanted records of one transcript; `unreadable` counts lines once it was iterated."""

    def __init__(self, path: Path, wanted: Wanted) -> None:
        self.unreadable = 0
        self._path = path
        self._wanted = wanted
        self._needle = wanted.text.lower()

    def __iter__(self) -> Iterator[Said]:
        with storage_errors(self._path, "read the transcript"), self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                record = self._parsed(line)
                said = None if record is None else self._said(record, number)
                if said is not None:
                    yield said

    def _parsed(self, line: bytes) -> dict[str, Any] | None:
        if not line.strip():
            return None
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = None
        if isinstance(record, dict):
            return record
        self.unreadable += 1
        return None

    def _said(self, record: dict[str, Any], number: int) -> Said | None:
        wanted, role = self._wanted, record.get("type")
        at, cwd = _moment(record.get("timestamp")), record.get("cwd")
        message = record.get("message")
        if role not in ("user", "assistant") or wanted.role not in (None, role):
            return None
        if at is None or not isinstance(cwd, str) or not isinstance(message, dict):
            return None
        if (wanted.since and at < wanted.since) or (wanted.until and at >= wanted.until):
            return None
        if not _is_there(cwd, wanted):
            return None
        text = "\n".join(_texts(message.get("content")))
        place = text.lower().find(self._needle)
        if place < 0 or not text:
            return None
        session = str(record.get("sessionId") or self._path.stem)
        return Said(session, at, role, cwd, _part(text, place), str(self._path), number)


def _is_there(cwd: str, wanted: Wanted) -> bool:
    spelt = os.path.normcase(os.path.normpath(cwd))
    if any(spelt == os.path.normcase(os.path.normpath(place)) for place in wanted.places):
        return True
    tops = (os.path.normcase(os.path.normpath(folder)) for folder in wanted.folders)
    return any(spelt == top or spelt.startswith(top.rstrip(os.sep) + os.sep) for top in tops)


def _texts(content: Any) -> Iterator[str]:
    """All that a message says: its texts, its calls of tools, what these gave back."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for block in content:
            if isinstance(block, dict):
                yield from _texts_of_block(block)


def _texts_of_block(block: dict[str, Any]) -> Iterator[str]:
    if block.get("type") == "tool_use":
        given = msgspec.json.encode(block.get("input")).decode()
        yield f"[tool {block.get('name')}] {given}"
    elif block.get("type") == "tool_result":
        yield from _texts(block.get("content"))
    elif isinstance(block.get("text"), str):
        yield block["text"]


def _part(text: str, place: int) -> str:
    start, end = max(0, place - _AROUND), place + 2 * _AROUND
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
