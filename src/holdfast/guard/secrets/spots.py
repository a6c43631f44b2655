"""Where a secret stands in a file's bytes, and what has to be replaced so that all of it goes.

Of an environment file that is the whole value of the line; of JSON the whole string, or the part
of it that is the secret (``Bearer …``). Nothing else in the file changes.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.errors import RefusedError, UsageError
from holdfast.secrets.scanning import Secret, is_env_file, secrets_in

_ENV = re.compile(
    rb"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*"
    rb"(?P<whole>\"(?P<double>[^\"\r\n]*)\"|'(?P<single>[^'\r\n]*)'|(?P<bare>[^\r\n]*?))"
    rb"[ \t]*(?:[ \t]#[^\r\n]*)?\r?$"
)
_STRING = re.compile(rb'"(?:[^"\\\r\n]|\\.)*"')
_KEY_BEFORE = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:\s*\Z')
_OPTION_BEFORE = re.compile(rb'"--?([\w-]+)"\s*,\s*\Z')
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_BY_HAND = "put it away with 'holdfast secrets set NAME', and write the reference by hand"


@dataclass(frozen=True)
class Spot:
    """What is replaced: the bytes `start` to `end`, which say `value`; `name` is a proposal."""

    line: int
    start: int
    end: int
    value: str = field(repr=False)
    name: str


def spots_in(content: bytes, path: Path, line: int | None) -> list[Spot]:
    """The secrets of the file in order, or those of one line.

    Raises `UsageError` when there is none, `RefusedError` for one that has to be moved by hand.
    """
    found = [each for each in secrets_in(content, path.name) if line in (None, each.line)]
    if not found:
        where = "in this line" if line is not None else "in this file"
        hint = "holdfast secrets scan FILE shows the lines"
        raise UsageError(f"no secret is recognised {where}", path=path, hint=hint)
    starts = [0, *(match.end() for match in re.finditer(rb"\n", content))]
    spots: list[Spot] = []
    for secret in found:
        at = content.index(secret.value, starts[secret.line - 1])
        if not any(spot.start <= at < spot.end for spot in spots):
            spots.append(_spot(content, path, secret, at, starts[secret.line - 1]))
    return spots


def replaced(content: bytes, spots: Sequence[Spot], references: Sequence[str]) -> bytes:
    """`content` with each of the spots replaced by its reference."""
    for spot, reference in sorted(
        zip(spots, references, strict=True), key=lambda pair: -pair[0].start
    ):
        content = content[: spot.start] + reference.encode() + content[spot.end :]
    return content


def proposed_name(text: str) -> str:
    """`text` as the name of a variable."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    name = re.sub(r"\W+", "_", words).strip("_").upper()
    return name if re.match(r"[A-Z_]", name) else f"SECRET_{name}".rstrip("_")


def _spot(content: bytes, path: Path, secret: Secret, at: int, line_start: int) -> Spot:
    if is_env_file(path.name):
        return _in_env(content, path, secret, line_start)
    if secret.kind == "private key":
        raise RefusedError(
            "a private key goes over several lines",
            path=path,
            hint=f"keep it in a file of its own outside of the workspace, or {_BY_HAND}",
        )
    if path.suffix == ".json":
        return _in_json(content, path, secret, at)
    value = secret.value.decode("utf-8", "surrogateescape")
    return Spot(secret.line, at, at + len(secret.value), value, proposed_name(secret.kind))


def _in_env(content: bytes, path: Path, secret: Secret, line_start: int) -> Spot:
    line_end = content.find(b"\n", line_start)
    line = content[line_start : len(content) if line_end < 0 else line_end]
    match = _ENV.match(line)
    if match is None or b"${" in match["whole"] or b"\\" in (match["double"] or b""):
        raise RefusedError(f"line {secret.line} is no plain NAME=value", path=path, hint=_BY_HAND)
    value = next(each for each in match.group("double", "single", "bare") if each is not None)
    start, end = match.span("whole")
    return Spot(
        secret.line, line_start + start, line_start + end, _text(value, path, secret),
        proposed_name(match["name"].decode()),
    )  # fmt: skip


def _in_json(content: bytes, path: Path, secret: Secret, at: int) -> Spot:
    token = next((each for each in _strings(content) if each.start() < at < each.end()), None)
    if token is None:
        raise RefusedError(f"line {secret.line} is no string of JSON", path=path, hint=_BY_HAND)
    before = content[max(0, token.start() - 300) : token.start()]
    key = _KEY_BEFORE.search(before) or _OPTION_BEFORE.search(before)
    name = json.loads(b'"' + key[1] + b'"') if key else secret.kind
    start, end = at, at + len(secret.value)
    if _VARIABLE.fullmatch(name):  # a variable of an environment goes as a whole
        start, end = token.start() + 1, token.end() - 1
    try:
        value = json.loads(b'"' + content[start:end] + b'"')
    except ValueError as error:
        raise RefusedError(
            f"line {secret.line} cannot be taken apart", path=path, hint=_BY_HAND
        ) from error
    return Spot(secret.line, start, end, value, proposed_name(name))


def _strings(content: bytes) -> Iterator["re.Match[bytes]"]:
    return _STRING.finditer(content)


def _text(value: bytes, path: Path, secret: Secret) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise RefusedError(f"line {secret.line} is no UTF-8", path=path, hint=_BY_HAND) from None
