"""``holdfast logs --transcripts``: what was said in Claude Code's sessions, as log lines."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.claude.transcripts import Role, Said
    from holdfast.logs.reading import Record
    from holdfast.workspace.layout import Layout

_ROLES: "tuple[Role, ...]" = ("user", "assistant", "prompt")
_MOST = 500  # records, unless --limit says otherwise
_SECONDS = 300.0


class Transcripts:
    """The records of sessions in the workspace and its home, oldest first, as log lines.

    `component` is who said it (``prompt``: typed, from ``history.jsonl``), `task_id` the session.
    `unreadable` is how many lines were no records; `cut` says what was not looked at or shown.
    """

    def __init__(
        self,
        layout: "Layout",
        *,
        roles: Sequence[str],
        since: datetime | None,
        until: datetime | None,
        session: str | None,
        grep: str | None,
        limit: int | None,
    ) -> None:
        unknown = set(roles) - set(_ROLES)
        if unknown:
            hint = f"the components of transcripts are {', '.join(_ROLES)}"
            raise UsageError(f"nobody is called {min(unknown)!r} in a transcript", hint=hint)
        try:
            self._pattern = None if grep is None else re.compile(grep)
        except re.error as error:
            raise UsageError(f"{grep!r} is no regular expression: {error}") from error
        self._layout = layout
        self._roles = [role for role in _ROLES if role in roles or not roles]
        self._since, self._until, self._session = since, until, session or ""
        self._limit = _MOST if limit is None else limit
        self.unreadable: Counter[Path] = Counter()
        self.cut: str | None = None

    def __iter__(self) -> "Iterator[Record]":
        found = sorted(self._said(), key=lambda said: said.at)
        if len(found) >= self._limit > 0:
            self.cut = f"only the newest {self._limit} are shown; more with --limit"
        yield from map(_record, found[-self._limit :] if self._limit else [])

    def _said(self) -> "Iterator[Said]":
        from holdfast.claude.places import claude_places
        from holdfast.claude.transcripts import Wanted, search_prompts, search_transcripts

        places = claude_places(self._layout.home)
        spoken = [role for role in self._roles if role != "prompt"]
        wanted = Wanted(
            folders=(self._layout.root,),
            places=(self._layout.home,),
            pattern=self._pattern,
            role=spoken[0] if len(spoken) == 1 else None,
            session=self._session,
            since=self._since,
            until=self._until,
        )
        if spoken:
            found = search_transcripts(
                places.transcripts, wanted, limit=self._limit, seconds=_SECONDS
            )
            self.unreadable[places.transcripts] = found.unreadable
            if not found.complete:
                self.cut = "not all transcripts were read; narrow it with --since"
            yield from found.found
        if "prompt" in self._roles:
            found = search_prompts(places.prompts, wanted, limit=self._limit)
            self.unreadable[places.prompts] = found.unreadable
            yield from found.found


def _record(said: "Said") -> "Record":
    from holdfast.logs.lines import key_of
    from holdfast.logs.reading import Record

    key = key_of(said.at)
    data = {
        "timestamp": f"{key}Z",
        "component": said.role,
        "level": "INFO",
        "message": said.text,
        "task_id": said.session or None,
        "cwd": said.cwd,
        "path": said.path,
        "line": said.line,
    }
    return Record(key, data, msgspec.json.encode(data), Path(said.path))
