"""JSON documents: read strictly, checked against a schema, written atomically.

What is torn, of the wrong type, has a key twice or comes from a newer Holdfast is refused with
the file, the line and the column, and stays as it is. A byte-order mark and CRLF are accepted.
"""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from holdfast.durable import positions
from holdfast.durable.files import Durability, read_bytes, write_atomic
from holdfast.errors import NewerFormatError, UnreadableError

Schema = TypeVar("Schema")

FORMAT_KEY = "formatVersion"

_BOM = b"\xef\xbb\xbf"
_AT_PATH = re.compile(r" - at `(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")
_WAY_OUT = "mend the file by hand or restore an earlier version; nothing was changed"


@dataclass(frozen=True)
class Document:
    """A JSON object as it stands in its file: the data, the exact bytes and their digest."""

    path: Path
    data: dict[str, Any]
    digest: str
    content: bytes = field(default=b"", repr=False, compare=False)


def read_document(path: Path, *, newest: int = 1) -> Document:
    """Read a JSON object from `path`.

    `newest` is the highest ``formatVersion`` understood. Raises `NotFoundError` when there is no
    file, `UnreadableError` (with line and column) when it is not one well-formed JSON object with
    unique keys, `NewerFormatError` when it is newer.
    """
    content = read_bytes(path)
    data = parse_object(content, path)
    check_format(data, path, newest, content)
    return Document(path, data, digest_of(content), content)


def write_document(
    path: Path,
    data: Any,
    *,
    durability: Durability = "power",
    mode: int | None = None,
    exclusive: bool = False,
) -> str:
    """Write `data` as indented JSON with a final newline; returns the digest of the bytes."""
    content = encode(data)
    write_atomic(path, content, durability=durability, mode=mode, exclusive=exclusive)
    return digest_of(content)


def encode(data: Any) -> bytes:
    """`data` as people read JSON: two spaces, insertion order, UTF-8, a final newline.

    Raises `ValueError` for NaN and infinity, which JSON lacks. Lone surrogates (bytes of a file
    name that are no UTF-8) are written as escapes.
    """
    plain = msgspec.to_builtins(data, str_keys=True)
    strict = json.dumps(plain, allow_nan=False)  # msgspec would write null for NaN
    try:
        return msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(json.loads(strict), indent=2).encode("ascii") + b"\n"


def digest_of(content: bytes) -> str:
    """The digest that identifies the exact bytes of a document (SHA-256, hexadecimal)."""
    return hashlib.sha256(content).hexdigest()


def parse_object(content: bytes, path: Path) -> dict[str, Any]:
    """`content` as a JSON object with unique keys; raises `UnreadableError`."""
    content = content.removeprefix(_BOM)
    if not content.strip(b"\0 \t\r\n"):
        state = "is empty" if not content else "holds nothing but blanks or NULs"
        raise UnreadableError(f"the file {state}", path=path, hint=_WAY_OUT, line=1, column=1)
    try:
        text = content.decode("utf-8")
        data = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_number,
            parse_float=_float,
            parse_int=_int,
        )
    except UnicodeDecodeError as error:
        at = positions.position_of_byte(content, error.start)
        raise _unreadable("not UTF-8 text", path, at) from error
    except json.JSONDecodeError as error:
        at = positions.Position(error.lineno, error.colno)
        raise _unreadable(f"not valid JSON: {error.msg}", path, at) from error
    except RecursionError as error:
        raise _unreadable("nested too deeply", path, positions.Position(1, 1)) from error
    except (_DuplicateKeyError, _NumberError) as error:
        raise _refused(error, text, path) from error
    if not isinstance(data, dict):
        at = positions.Position(1, 1)
        raise _unreadable(f"a JSON object is expected, not {_kind(data)}", path, at)
    return data


def check_format(data: dict[str, Any], path: Path, newest: int, content: bytes = b"") -> None:
    """Refuse a document whose ``formatVersion`` is above `newest`, or is no version at all."""
    version = data.get(FORMAT_KEY, 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        at = _position(content, (FORMAT_KEY,))
        raise _unreadable(f"{FORMAT_KEY} must be a whole number from 1 on", path, at)
    if version > newest:
        raise NewerFormatError(
            f"written in format {version}; this Holdfast reads up to {newest}",
            path=path,
            hint="upgrade Holdfast; nothing was changed",
        )


def convert(document: Document, schema: type[Schema]) -> Schema:
    """The document as a typed value. Raises `UnreadableError` with line, column and key path."""
    try:
        return msgspec.convert(document.data, schema)
    except msgspec.ValidationError as error:
        path = _blame(document.data, schema, str(error))
        at = _position(document.content, path)
        message = _AT_PATH.sub("", str(error))
        where = ".".join(str(part) for part in path) or "the document"
        raise _unreadable(f"{message} at {where}", document.path, at) from error


def position_in(document: Document, path: positions.Path) -> positions.Position:
    """Where `path` (keys and indexes from the root) stands; the beginning if it is not there."""
    return _position(document.content, path)


def _blame(data: Any, schema: Any, message: str) -> positions.Path:
    """The exact path that `message` speaks of; msgspec writes ``[...]`` for a dict's key.

    Each such key is found by leaving all its siblings out and looking whether the message stays.
    """
    match = _AT_PATH.search(message)
    path: positions.Path = ()
    for step in _STEP.finditer(match["path"] if match else ""):
        here = _at(data, path)
        if step["key"] is not None:
            path = (*path, step["key"])
        elif step["index"] != "...":
            path = (*path, int(step["index"]))
        elif isinstance(here, dict):
            guilty = [k for k in here if _message(_keep_only(data, path, k), schema) == message]
            if not guilty:
                return path
            data = _keep_only(data, path, guilty[0])  # a guilty sibling would mislead below it
            path = (*path, guilty[0])
    return path


def _position(content: bytes, path: positions.Path) -> positions.Position:
    text = content.removeprefix(_BOM).decode("utf-8", "replace")
    found = positions.position_of_path(text, path) if text else None
    return found or positions.Position(1, 1)


def _message(data: Any, schema: Any) -> str:
    try:
        msgspec.convert(data, schema)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _at(data: Any, path: positions.Path) -> Any:
    for part in path:
        data = data[part]
    return data


def _keep_only(data: Any, path: positions.Path, key: str) -> Any:
    """`data` with the dict at `path` reduced to its one entry `key`."""
    if not path:
        return {key: data[key]}
    head, rest = path[0], path[1:]
    inner = _keep_only(data[head], rest, key)
    if isinstance(data, dict):
        return {**data, head: inner}
    return [*data[: int(head)], inner, *data[int(head) + 1 :]]


class _DuplicateKeyError(ValueError):
    pass


class _NumberError(ValueError):
    pass


def _refused(error: ValueError, text: str, path: Path) -> UnreadableError:
    """The error for well-formed JSON that would not survive being read and written again."""
    if isinstance(error, _DuplicateKeyError):
        found, complaint = positions.first_duplicate_key(text), "the key {!r} stands twice"
    else:
        found, complaint = positions.first_unsound_number(text), "{!s} is no number that JSON holds"
    what, at = found or (error.args[0], positions.Position(1, 1))
    return _unreadable(complaint.format(what if len(what) <= 40 else what[:40] + "…"), path, at)


def _refuse_number(text: str) -> Any:
    raise _NumberError(text)


def _float(text: str) -> float:
    return float(text) if positions.is_sound_number(text) else _refuse_number(text)


def _int(text: str) -> int:
    return int(text) if len(text) < 300 else _refuse_number(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return data


def _unreadable(message: str, path: Path, at: positions.Position) -> UnreadableError:
    return UnreadableError(message, path=path, hint=_WAY_OUT, line=at.line, column=at.column)


def _kind(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
