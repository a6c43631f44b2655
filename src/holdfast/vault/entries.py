"""What a snapshot says: its header, and one entry per path.

The shapes here are the format on disk (docs/format.md); a field is never renamed or given another
meaning. Fields with their default value are left out of the file.
"""

import os
import re
import stat
from datetime import datetime
from typing import Literal

import msgspec

FORMAT_VERSION = 1

SECOND = 1_000_000_000
"""In nanoseconds."""

Kind = Literal["file", "folder", "link", "fifo", "socket", "device", "excluded"]


class Entry(msgspec.Struct, rename="camel", omit_defaults=True, gc=False):
    """One path of a snapshot.

    `path` and `target` use forward slashes as the system gave them; with `escaped` both are
    written as `escape` does. `size` is that of the content held (the sum of its chunks),
    `source_size` that of the file on disk where it differed. Times are whole seconds of the
    epoch and the nanoseconds beyond: as one number, they would be too large for jq's doubles.
    Entries with one `hard_link` are one file. `root` is the number of the header's root.
    `capture` says how a file that was not simply read was captured.
    """

    path: str
    kind: Kind
    mode: int = 0
    mtime: int = 0
    mtime_nanos: int = 0
    ctime: int = 0
    ctime_nanos: int = 0
    inode: int = 0
    size: int = 0
    chunks: tuple[str, ...] = ()
    target: str | None = None
    hard_link: str | None = None
    capture: Literal["sqlite"] | None = None
    source_size: int | None = None
    root: int = 0
    escaped: bool = False

    @property
    def mtime_ns(self) -> int:
        """The time of the last change of the content, in ns of the epoch."""
        return self.mtime * SECOND + self.mtime_nanos

    @property
    def ctime_ns(self) -> int:
        """The time of the last change of content or status, in ns (Windows: of its making)."""
        return self.ctime * SECOND + self.ctime_nanos

    @property
    def on_disk(self) -> tuple[int, int, int, int]:
        """What the file looked like: size, mtime, ctime, inode."""
        size = self.size if self.source_size is None else self.source_size
        return size, self.mtime_ns, self.ctime_ns, self.inode


class Root(msgspec.Struct, rename="camel", frozen=True):
    """One captured tree: what it is, and where it was."""

    name: str
    path: str


class Problem(msgspec.Struct, rename="camel", frozen=True):
    """Something that could not be captured as it is: the path, and why."""

    path: str
    reason: str


class Totals(msgspec.Struct, rename="camel"):
    """Counts of a snapshot; `size` is the content's bytes, `stored` what its packs added."""

    entries: int = 0
    files: int = 0
    folders: int = 0
    links: int = 0
    excluded: int = 0
    skipped: int = 0
    unchanged: int = 0
    size: int = 0
    stored: int = 0


class Header(msgspec.Struct, rename="camel", omit_defaults=True):
    """The first line of a snapshot file."""

    format_version: int
    vault: str
    roots: list[Root]
    host: str
    platform: str
    started_at: datetime
    ended_at: datetime
    totals: Totals
    workspace_id: str = ""
    workspace_name: str = ""
    parent: str | None = None
    tags: list[str] = []
    excludes: list[str] = []
    everything: bool = False
    point: str = ""
    problems: list[Problem] = []

    @property
    def started_ns(self) -> int:
        """When it began, in ns of the epoch, exact to a microsecond."""
        return int(self.started_at.timestamp() * SECOND)


def from_status(path: str, kind: Kind, status: os.stat_result) -> Entry:
    """The entry of `path` as `os.lstat` sees it, still without content."""
    mtime, mtime_nanos = divmod(status.st_mtime_ns, SECOND)
    ctime, ctime_nanos = divmod(status.st_ctime_ns, SECOND)
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(status.st_mode),
        mtime=mtime,
        mtime_nanos=mtime_nanos,
        ctime=ctime,
        ctime_nanos=ctime_nanos,
        inode=status.st_ino,
    )


_ESCAPE = re.compile(r"\\|[\ud800-\udfff]")
_ESCAPED = re.compile(rb"\\(?:\\|0([0-3][0-7][0-7]))")


def escape(name: str) -> str:
    r"""A name that is no UTF-8 in the form that the shell's ``printf %b`` turns back.

    Bytes that are no UTF-8 become ``\0ooo`` (three octal digits), a backslash becomes ``\\``.
    """
    text = os.fsencode(name).decode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_escape_one, text)


def unescape(text: str) -> str:
    """The name that `escape` wrote, as this system spells it."""
    data = _ESCAPED.sub(_unescape_one, text.encode("utf-8"))
    return os.fsdecode(data)


def printable(name: str) -> str:
    """`name` for people and JSON; what is no UTF-8 is shown by its code."""
    return name.encode("utf-8", "backslashreplace").decode()


def escaped(entry: Entry) -> Entry:
    """`entry` in the form that can be written as UTF-8."""
    target = None if entry.target is None else escape(entry.target)
    return msgspec.structs.replace(entry, path=escape(entry.path), target=target, escaped=True)


def unescaped(entry: Entry) -> Entry:
    """`entry` with the names the system uses."""
    target = None if entry.target is None else unescape(entry.target)
    return msgspec.structs.replace(entry, path=unescape(entry.path), target=target, escaped=False)


def _escape_one(match: re.Match[str]) -> str:
    character = match[0]
    return "\\\\" if character == "\\" else f"\\0{ord(character) - 0xDC00:03o}"


def _unescape_one(match: re.Match[bytes]) -> bytes:
    return b"\\" if match[1] is None else bytes([int(match[1], 8)])
