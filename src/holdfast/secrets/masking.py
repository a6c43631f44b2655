"""Texts with their secrets masked, line by line, as a filter of a stream."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from holdfast.secrets.scanning import candidates_in

_AS_SETTINGS = ".env"  # masks more than it must rather than less
_KEY_BEGINS = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|^PuTTY-User-Key-")
_KEY_ENDS = re.compile(rb"-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|^Private-MAC:")
_MASK = "••••".encode()


def masked_lines(lines: Iterable[bytes], known: Iterable[str] = ()) -> Iterator[bytes]:
    """Each line with its likely secrets, and the values `known`, masked by their length.

    Of a private key every line is masked.
    """
    values = sorted({value.encode() for value in known if value}, key=len, reverse=True)
    in_key = False
    for line in lines:
        begins, ends = _KEY_BEGINS.search(line), _KEY_ENDS.search(line)
        if begins is not None or in_key:
            in_key = ends is None
            yield _MASK + b" (private key)" + line[len(line.rstrip(b"\r\n")) :]
            continue
        yield _masked(line, _AS_SETTINGS, values)


def masked_passage(text: str) -> str:
    """`text` of several lines, masked as `masked_lines` does."""
    lines = text.encode("utf-8", "surrogatepass").splitlines(keepends=True)
    return b"".join(masked_lines(lines)).decode("utf-8", "surrogatepass")


def masked_values(value: Any) -> Any:
    """`value`, as JSON has it, with what has the shape of a secret masked in each of its texts."""
    if isinstance(value, str):
        return masked_text(value)
    if isinstance(value, list):
        return [masked_values(each) for each in value]
    if isinstance(value, dict):
        return {masked_text(key): masked_values(each) for key, each in value.items()}
    return value


def seems_to_hold_secrets(content: bytes) -> bool:
    """Whether anything in `content`, of any number of lines, has the shape of a secret."""
    return next(candidates_in(content, ""), None) is not None


def masked_text(text: str) -> str:
    """`text` with what has the shape of a secret masked by its length."""
    return _masked(text.encode("utf-8", "surrogatepass"), "").decode("utf-8", "surrogatepass")


def _masked(line: bytes, name: str, values: Iterable[bytes] = ()) -> bytes:
    spans = [(start, start + len(value)) for _, start, value in candidates_in(line, name)]
    for value in values:
        spans += [match.span() for match in re.finditer(re.escape(value), line)]
    pieces, done = [], 0
    for start, end in _merged(spans):
        pieces += [line[done:start], _MASK, f" ({end - start} characters)".encode()]
        done = end
    return b"".join([*pieces, line[done:]])


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in order; those that overlap as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
