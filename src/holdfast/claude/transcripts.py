"""What was said in Claude Code's sessions: transcripts read and searched, never written.

A transcript is ``projects/<slug>/<session>.jsonl``. The slug is lossy, so that where a session took
place is told by each record's ``cwd``. ``history.jsonl`` has what the user typed in all of them.
Lines that cannot be read are counted, never an error. What has the shape of a secret is masked.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.durable.names import long_path
from holdfast.errors import storage_errors
from holdfast.secrets.masking import masked_passage

Role = Literal["user", "assistant", "prompt"]

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
    """What is looked for. `text` in any case, or what `pattern` finds; sessions in or below one of
    `folders`, or at one of `places` itself; `session` is the beginning of an id. The role
    ``prompt`` is what was typed, from ``history.jsonl``."""

    folders: Sequence[Path]
    places: Sequence[Path] = ()
    text: str = ""
    pattern: re.Pattern[str] | None = None
    role: Role | None = None
    session: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def find(self, text: str) -> int:
        """Where in `text` the first of what is looked for stands; -1 when it does not."""
        if self.pattern is not None:
            match = self.pattern.search(text)
            return -1 if match is None else match.start()
        return text.lower().find(self.text.lower())

    def takes(self, at: datetime, cwd: str) -> bool:
        """Whether a record of that time and place is wanted, whatever it says."""
        if (self.since and at < self.since) or (self.until and at >= self.until):
            return False
        return _is_there(cwd, self)


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


def search_prompts(history: Path, wanted: Wanted, *, limit: int = 50) -> TranscriptSearch:
    """Search ``history.jsonl``, the file `history`; the newest `limit` prompts.

    Raises `StorageError`.
    """
    if not long_path(history).is_file():
        return TranscriptSearch([], 0, 0, complete=True)
    records = _Prompts(history, wanted)
    found = sorted(records, key=lambda said: said.at, reverse=True)[:limit]
    return TranscriptSearch(found, 1, records.unreadable, complete=True)


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
        session = str(record.get("sessionId") or self._path.stem)
        if not wanted.takes(at, cwd):
            return None
        text = "\n".join(_texts(message.get("content")))
        return self._shown(text, session, at, role, cwd, number)

    def _shown(
        self, text: str, session: str, at: datetime, role: str, cwd: str, line: int
    ) -> Said | None:
        part = _part(text, self._wanted)
        return Said(session, at, role, cwd, part, str(self._path), line) if part else None


class _Prompts(_Records):
    """The wanted records of ``history.jsonl``: what was typed, in which project, when."""

    def _said(self, record: dict[str, Any], number: int) -> Said | None:
        at, cwd = _moment(record.get("timestamp")), record.get("project")
        text, session = record.get("display"), str(record.get("sessionId") or "")
        if at is None or not isinstance(cwd, str) or not isinstance(text, str):
            return None
        if not self._wanted.takes(at, cwd) or not session.startswith(self._wanted.session):
            return None
        pasted = record.get("pastedContents")
        if isinstance(pasted, dict):
            text = "\n".join([text, *_texts(list(pasted.values()))])
        return self._shown(text, session, at, "prompt", cwd, number)


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
    else:
        yield from (
            value for key in ("text", "content") if isinstance(value := block.get(key), str)
        )


def _part(text: str, wanted: Wanted) -> str:
    """What of `text` is shown, masked; empty when it is not wanted."""
    place = wanted.find(text) if text else -1
    if place < 0:
        return ""
    # Masked before it is cut: nobody recognises the second half of a secret.
    text = masked_passage(text)
    place = max(wanted.find(text), 0)
    start, end = max(0, place - _AROUND), place + 2 * _AROUND
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


def _moment(value: Any) -> datetime | None:
    """A time as transcripts have it, or in milliseconds since the epoch, as the prompts have it."""
    try:
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value / 1000, UTC)
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
