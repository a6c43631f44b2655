"""References in the arguments of a declared task: ``${input}``, ``${needs.collect.items.0}``.

A text that is one reference becomes the value it names, whatever its type; within a longer text it
becomes that value's text. ``$${`` stands for ``${``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_REFERENCE = re.compile(r"\$(?:\$(?=\{)|\{(?P<path>[^{}]*)\})")


class UnknownReferenceError(Exception):
    """A reference names nothing that is there."""


def resolved(value: Any, values: Mapping[str, Any]) -> Any:
    """`value` with its references replaced by what `values` has. Raises `UnknownReferenceError`."""
    if isinstance(value, dict):
        return {key: resolved(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [resolved(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole is not None and whole["path"] is not None:
        return _named(whole["path"], values)
    return _REFERENCE.sub(lambda found: _text_of(found, values), value)


def referenced_tasks(value: Any) -> Iterator[str]:
    """The tasks whose output `value` refers to."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from referenced_tasks(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from referenced_tasks(inner)
    elif isinstance(value, str):
        for found in _REFERENCE.finditer(value):
            root, _, rest = (found["path"] or "").partition(".")
            if root == "needs":
                yield rest.partition(".")[0]


def _text_of(found: re.Match[str], values: Mapping[str, Any]) -> str:
    if found["path"] is None:
        return "$"
    value = _named(found["path"], values)
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _named(path: str, values: Mapping[str, Any]) -> Any:
    value: Any = values
    for part in path.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise UnknownReferenceError(f"${{{path}}} names nothing: no {part!r} there") from error
    return value
