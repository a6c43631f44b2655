"""References to environment variables in a server's settings: ``${NAME}``, ``${NAME:-default}``."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_REFERENCE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
EXPANDED_KEYS = ("command", "args", "env", "url", "headers")


def expand(value: Any, environment: Mapping[str, str]) -> Any:
    """`value` with its references resolved; those without a value or default stay as they are."""
    if isinstance(value, dict):
        return {key: expand(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [expand(inner, environment) for inner in value]
    if not isinstance(value, str):
        return value
    return _REFERENCE.sub(lambda found: _resolved(found, environment), value)


def missing_variables(settings: Mapping[str, Any], environment: Mapping[str, str]) -> list[str]:
    """The variables that a server's settings refer to and that have no value, sorted."""
    names = {
        match["name"]
        for key in EXPANDED_KEYS
        for text in _texts(settings.get(key))
        for match in _REFERENCE.finditer(text)
        if match["default"] is None
    }
    return sorted(names - environment.keys())


def _resolved(found: "re.Match[str]", environment: Mapping[str, str]) -> str:
    value = environment.get(found["name"])
    if value is not None:
        return value
    return found[0] if found["default"] is None else str(found["default"])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
