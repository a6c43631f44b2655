"""Tar as archives use it: members written fast, and read without trusting them.

Python's own tarfile is several times slower at writing, and reads a header of any length into
memory.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from holdfast.errors import CorruptError

BLOCK = 512
END = bytes(2 * BLOCK)
FILE, LINK, SYMLINK, FOLDER = b"0", b"1", b"2", b"5"
_LONGEST = 1 << 20  # bytes of a member's extended header; names are far shorter
_PIECE = 1 << 20
_SECOND = 1_000_000_000
_LARGEST = 8**11

Read = Callable[[int], bytes]
"""Returns exactly so many bytes, fewer only at the end."""


def member(
    path: bytes, kind: bytes, *, mode: int, mtime_ns: int, size: int = 0, link: bytes = b""
) -> bytes:
    """The header of a member: ustar, with a pax header before it where that does not suffice."""
    records = b""
    seconds, nanos = divmod(mtime_ns, _SECOND)
    if nanos or not 0 <= seconds < _LARGEST:
        records += _record(b"mtime", b"%d.%09d" % (seconds, nanos))
        seconds = min(max(seconds, 0), _LARGEST - 1)
    long_names = b""
    for name, keyword, gnu in ((path, b"path", b"L"), (link, b"linkpath", b"K")):
        if not _is_text(name):
            long_names += _gnu_name(name, gnu)  # pax knows no names but UTF-8
        elif len(name) > 100 or not name.isascii():
            records += _record(keyword, name)
    if size >= _LARGEST:
        records += _record(b"size", b"%d" % size)
    header = _ustar(path[:100], kind, mode, min(size, _LARGEST - 1), seconds, link[:100])
    if not records:
        return long_names + header
    extended = _ustar(b"pax", b"x", 0o600, len(records), 0, b"")
    return long_names + extended + records + padding(len(records)) + header


def padding(size: int) -> bytes:
    """What follows a member's content of `size` bytes."""
    return bytes(-size % BLOCK)


def _gnu_name(name: bytes, kind: bytes) -> bytes:
    data = name + b"\0"
    return _ustar(b"././@LongLink", kind, 0o600, len(data), 0, b"") + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    digits = len(str(length))
    while len(str(length + digits)) != digits:
        digits += 1
    return b"%d %b=%b\n" % (length + digits, key, value)


def _is_text(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _ustar(name: bytes, kind: bytes, mode: int, size: int, mtime: int, link: bytes) -> bytes:
    start = b"%-100b%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        name.ljust(100, b"\0"), mode, 0, 0, size, mtime
    )  # fmt: skip
    end = b"%b%b%b" % (kind, link.ljust(100, b"\0"), b"ustar\00000".ljust(255, b"\0"))
    checksum = sum(start) + sum(end) + 8 * 32
    return b"%b%06o\0 %b" % (start, checksum, end)


class Member(NamedTuple):
    """A member as it is in the archive; `path` and `link` are exactly what is written there."""

    path: str
    kind: bytes
    mode: int
    mtime_ns: int
    size: int
    link: str


def read_members(read: Read) -> Iterator[tuple[Member, Iterator[bytes]]]:
    """Every member with its content, which is skipped as far as it was not read.

    Raises `CorruptError` for what is no tar, is cut short, or has a header of absurd length.
    """
    extended: dict[str, str] = {}
    while True:
        block = read(BLOCK)
        if not block.strip(b"\0"):
            if len(block) < BLOCK:
                raise CorruptError("the archive is cut short")
            return
        plain = _parse(block)
        if plain.kind in (b"x", b"g", b"L", b"K"):
            more = _extended(plain, read)
            extended.update({} if plain.kind == b"g" else more)
            continue
        made = _described(plain, extended) if extended else plain
        extended = {}
        if made.kind in (FILE, b"\0") and made.path.endswith("/"):
            made = made._replace(kind=FOLDER)  # as tar wrote folders long ago
        size = made.size if made.kind in (FILE, b"\0", b"7") else 0
        content = _Content(read, size)
        yield made, iter(content)
        content.skip()


class _Content:
    def __init__(self, read: Read, size: int) -> None:
        self._read = read
        self._left = size
        self._padding = -size % BLOCK

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            piece = self._read(min(self._left, _PIECE))
            if not piece:
                raise CorruptError("the archive is cut short")
            self._left -= len(piece)
            yield piece

    def skip(self) -> None:
        for _ in self:
            pass
        self._read(self._padding)


def _parse(block: bytes) -> Member:
    if len(block) < BLOCK:
        raise CorruptError("the archive is cut short")
    if sum(block) - sum(block[148:156]) + 8 * 32 != _number(block[148:156]):
        raise CorruptError("damaged archive: a header does not match its checksum")
    path, kind = _text(block[:100]), block[156:157]
    if block[257:263] == b"ustar\0" and block[345] and kind not in (b"L", b"K"):
        path = f"{_text(block[345:500])}/{path}"
    return Member(
        path,
        kind,
        _number(block[100:108]),
        _number(block[136:148]) * _SECOND,
        _number(block[124:136]),
        _text(block[157:257]),
    )


def _text(name: bytes) -> str:
    return name.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(digits: bytes) -> int:
    """A number in octal or, where the first bit is set, in base 256."""
    if digits[0] & 0x80:
        return int.from_bytes(digits[1:], "big")
    try:
        return int(digits.partition(b"\0")[0] or b"0", 8)
    except ValueError as error:
        raise CorruptError("damaged archive: a header holds no number") from error


def _extended(info: Member, read: Read) -> dict[str, str]:
    if not 0 <= info.size <= _LONGEST:
        raise CorruptError(f"a header of {info.size} bytes")
    data = read(info.size)
    read(-info.size % BLOCK)
    if info.kind in (b"L", b"K"):
        return {"path" if info.kind == b"L" else "linkpath": _text(data)}
    found: dict[str, str] = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(data):
            raise CorruptError("a damaged extended header")
        record = data[len(length) + 1 : int(length) - 1]
        data = data[int(length) :]
        key, _, value = record.partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
    return found


def _described(info: Member, extended: dict[str, str]) -> Member:
    """`info` with what its extended header says."""
    try:
        mtime = info.mtime_ns
        if "mtime" in extended:
            seconds, _, nanos = extended["mtime"].partition(".")
            mtime = int(seconds) * _SECOND + int(nanos.ljust(9, "0")[:9] or 0)
        size = int(extended.get("size", info.size))
    except ValueError as error:
        raise CorruptError("a damaged extended header") from error
    if size < 0 or not -(1 << 62) < mtime < 1 << 62:
        raise CorruptError("a damaged header")
    path, link = extended.get("path", info.path), extended.get("linkpath", info.link)
    return Member(path, info.kind, info.mode, mtime, size, link)
