"""Likely secrets in files and texts, found by their shape.

Known kinds (private keys, tokens with a prefix, JWT, passwords in URLs) are looked for in every
text file; a value that only looks random counts where settings are kept: in ``.env`` files, in
assignments to names such as ``API_KEY``, and in the ``env`` and ``headers`` blocks of JSON. A line
that carries ``pragma: allowlist secret`` is left alone, as detect-secrets does.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

from holdfast.durable.names import long_path
from holdfast.secrets.kinds import GUESSED, KNOWN

ALLOWED = b"pragma: allowlist secret"

_BATCH = 8 << 20  # bytes of whole lines that are searched at once


class Secret(NamedTuple):
    """A likely secret: its line (from 1), its kind and its bytes."""

    line: int
    kind: str
    value: bytes

    @property
    def masked(self) -> str:
        """Its beginning, if that tells no more than the kind, and its length."""
        known = self.value[:4].decode("ascii", "replace") if len(self.value) >= 20 else ""
        return f"{known}… ({len(self.value)} characters)"


_COMPRESSED = (".gz", ".zst")
_SETTINGS_FILES = {
    ".cfg",
    ".conf",
    ".env",
    ".ini",
    ".json",
    ".properties",
    ".toml",
    ".yaml",
    ".yml",
}
# Looked for in lower case: a pattern that ignores case is much slower.
_TELLING = (b"pass", b"secret", b"token", b"key", b"credential")
_ASSIGNED = re.compile(
    rb"(?P<name>passw(?:or)?d|passphrase|secret|token|(?:api|access|private)[_-]?key|credentials?)"
    rb"[\"']?[ \t]*[:=][ \t]*"
    rb"(?:\"([^\"\n]{8,512})\"|'([^'\n]{8,512})'|([^\s\"'#,;{}\[\]]{8,512}))"
)
_ENV_LINE = re.compile(rb"(?m)^[ \t]*(?:export[ \t]+)?\w+[ \t]*=[ \t]*[\"']?([^\s\"'#]{20,512})")
_JSON_BLOCK = re.compile(rb"\"(?:env|headers)\"\s*:\s*\{([^{}]*)\}")
_JSON_VALUE = re.compile(rb":\s*\"([^\"\n]{20,512})\"")
_PLACEHOLDER = re.compile(
    rb"(?i)\$[{(\w]|%\w+%|<|\{\{|your[_-]|change[_-]?me|example|placeholder|redacted|dummy"
    rb"|x{4,}|\*{3,}|\.\.\.|^(?:true|false|null|none|process\.env|os\.environ)"
)
_NOT_SECRET = re.compile(
    rb"^(?:[a-z][a-z0-9+.-]*://|/|\.{0,2}/|[A-Za-z]:[\\/])|[\\/].*[\\/].*\.\w+$|\s"
)


def find_secrets(path: Path) -> Iterator[Secret]:
    """The likely secrets in the file `path`, by line; a binary file has none.

    A compressed one (.zst, .gz) is looked into. `path` also decides whether it is a settings file.
    Raises `OSError` when it cannot be read.
    """
    before = 0
    name = path.stem if path.suffix in _COMPRESSED else path.name
    with opened(path) as file:
        while lines := file.readlines(_BATCH):
            content = b"".join(lines)
            if b"\0" in content[:8192]:
                return
            yield from secrets_in(content, name, line=before + 1)
            before += len(lines)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's text, unpacked. What is no such archive raises `OSError`."""
    with long_path(path).open("rb") as file:
        if path.suffix == ".gz":
            import gzip
            import zlib

            try:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    yield cast("BinaryIO", unpacked)
            except (EOFError, zlib.error) as error:
                raise OSError(f"not a sound gzip file: {error}") from error
        elif path.suffix == ".zst":
            import zstandard

            reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
            try:
                with BufferedReader(cast("RawIOBase", reader)) as unpacked:
                    yield cast("BinaryIO", unpacked)
            except zstandard.ZstdError as error:
                raise OSError(f"not a sound zstd file: {error}") from error
        else:
            yield file


def secrets_in(content: bytes, name: str, *, line: int = 1) -> Iterator[Secret]:
    """The likely secrets in whole lines, of which the first is number `line` of the file `name`.

    Of findings that overlap the first one counts.
    """
    seen: set[tuple[int, bytes]] = set()
    for kind, start, value in sorted(candidates_in(content, name), key=lambda found: found[1]):
        number = content.count(b"\n", 0, start) + 1
        if any(at == number and (value in other or other in value) for at, other in seen):
            continue
        seen.add((number, value))
        if ALLOWED not in _line_around(content, start):
            yield Secret(line + number - 1, kind, value)


def candidates_in(content: bytes, name: str) -> Iterator[tuple[str, int, bytes]]:
    """Each likely secret: its kind, where it begins, its bytes."""
    for rule in KNOWN:
        if any(mark in content for mark in rule.marks):
            for match in rule.pattern.finditer(content):
                if b"EXAMPLE" not in match[1]:  # as in the providers' own documentation
                    yield rule.kind, match.start(1), match[1]
    for rule in GUESSED:
        if any(mark in content for mark in rule.marks):
            for match in rule.pattern.finditer(content):
                is_password = rule.kind == "password in a URL"
                if _looks_random(match[1], 2.0 if is_password else 3.5):
                    yield rule.kind, match.start(1), match[1]
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _SETTINGS_FILES or is_env_file(name):
        yield from _in_settings(content, is_env_file(name), suffix == ".json")


def _in_settings(content: bytes, is_env: bool, is_json: bool) -> Iterator[tuple[str, int, bytes]]:
    lower = content.lower()
    if any(mark in lower for mark in _TELLING):
        for match in _ASSIGNED.finditer(lower):
            start, end = match.span(match.lastindex or 1)
            value = content[start:end]
            telling = match["name"].startswith(b"pass") or _is_mixed(value)
            if telling and _looks_random(value, 2.5):
                yield "secret setting", start, value
    if is_env:
        for match in _ENV_LINE.finditer(content):
            if _looks_random(match[1], 3.8) and _is_mixed(match[1]):
                yield "random value in the environment", match.start(1), match[1]
    if is_json:
        for block in _JSON_BLOCK.finditer(content):
            for match in _JSON_VALUE.finditer(block[1]):
                if _looks_random(match[1], 3.8) and _is_mixed(match[1]):
                    start = block.start(1) + match.start(1)
                    yield "random value in the environment", start, match[1]


def is_env_file(name: str) -> bool:
    """Whether a file of this name holds lines ``NAME=value``."""
    return name == ".env" or name.startswith(".env.") or name.endswith(".env")


def _looks_random(value: bytes, bits: float) -> bool:
    """Whether a value is no placeholder, path or sentence and has `bits` a character or more."""
    if _PLACEHOLDER.search(value) or _NOT_SECRET.search(value):
        return False
    counts = Counter(value).values()
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return entropy >= bits


def _is_mixed(value: bytes) -> bool:
    """Whether letters and digits are mixed, as in a key and seldom in words."""
    return bool(re.search(rb"[0-9]", value) and re.search(rb"[A-Za-z]", value))


def _line_around(content: bytes, position: int) -> bytes:
    start = content.rfind(b"\n", 0, position) + 1
    end = content.find(b"\n", position)
    return content[start : len(content) if end < 0 else end]
