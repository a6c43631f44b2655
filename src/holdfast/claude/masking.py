"""Literal secrets in a server's settings: found, and masked before anything is shown.

What is written as a reference (``${TOKEN}``) is none.
"""

import re
from collections.abc import Iterator
from typing import Any

from holdfast.secrets.masking import masked_text

# Rules for settings hold too.
_LIKE = "shown.cfg"

_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\}")
_TELLING_NAME = re.compile(
    r"(?i)(passw(or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|credential|authorization|cookie|bearer|[_-]key$|^key$|[_-]pat$|oauth)"
)
_IN_URL = re.compile(r"(?<=://)([^\s/:@]*:)?([^\s/@]{3,})(?=@)")
_IN_QUERY = re.compile(
    r"(?i)([?&][\w.-]*(?:key|token|secret|passw(?:or)?d|auth)[\w.-]*=)([^&#\s]+)"
)
_SCHEME = re.compile(r"(?i)^(bearer|basic|token)\s+")
_OPTION = re.compile(r"^(--?[\w.-]+)=(.*)$", re.DOTALL)
_INNOCENT = re.compile(r"(?i)^(true|false|yes|no|on|off|none|null|[\d.]{0,6})$")


def mask(value: Any, name: str = "") -> Any:
    """`value` with each literal secret replaced by its length; `name` is the key it stands at."""
    if isinstance(value, dict):
        return {key: mask(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [mask(inner, _option_before(value, index)) for index, inner in enumerate(value)]
    return mask_text(value, name) if isinstance(value, str) else value


def mask_text(text: str, name: str = "") -> str:
    """`text`, the value of a setting called `name`, with its literal secrets masked."""
    option = _OPTION.match(text)
    if option:
        return f"{option[1]}={mask_text(option[2], option[1].lstrip('-'))}"
    if name and _TELLING_NAME.search(name):
        scheme = _SCHEME.match(text)
        literal = text[scheme.end() :] if scheme else text
        if _is_literal(literal):
            return (scheme[0] if scheme else "") + _masked(literal)
    text = _IN_URL.sub(lambda found: (found[1] or "") + _masked_unless_reference(found[2]), text)
    text = _IN_QUERY.sub(lambda found: found[1] + _masked_unless_reference(found[2]), text)
    return masked_text(text)


def mask_everywhere(text: str) -> str:
    """`text` of any origin with all that is likely a secret masked, also where it says it is one.

    For what is shown to somebody who did not ask for it: ``password = …`` in a log line, say.
    """
    from holdfast.secrets.scanning import secrets_in  # compiles many patterns

    text = mask_text(text)
    for secret in secrets_in(text.encode(), _LIKE):
        text = text.replace(secret.value.decode("utf-8", "replace"), secret.masked)
    return text


def literal_values(value: Any, name: str = "") -> Iterator[str]:
    """Each text in `value` that `mask` does not leave as it is; `name` is the key it stands at."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from literal_values(inner, str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from literal_values(inner, _option_before(value, index))
    elif isinstance(value, str) and mask_text(value, name) != value:
        yield value


def literal_secrets(server: Any) -> Iterator[tuple[str, ...]]:
    """Where a literal secret stands in a server's settings, as paths of keys."""
    if isinstance(server, dict):
        for key, value in server.items():
            yield from _secrets_in(value, (str(key),))


def _secrets_in(value: Any, keys: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _secrets_in(inner, (*keys, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if mask(value)[index] != inner:
                yield (*keys, str(index))
    elif isinstance(value, str) and mask_text(value, keys[-1]) != value:
        yield keys


def _option_before(arguments: list[Any], index: int) -> str:
    """The option that an argument is the value of: ``--token`` in ``["--token", "abc"]``."""
    before = arguments[index - 1] if index else ""
    if isinstance(before, str) and before.startswith("-") and "=" not in before:
        return before.lstrip("-")
    return ""


def _is_literal(text: str) -> bool:
    rest = _REFERENCE.sub("", text)
    return bool(rest.strip()) and not _INNOCENT.match(text)


def _masked_unless_reference(text: str) -> str:
    return _masked(text) if _is_literal(text) else text


def _masked(text: str) -> str:
    return f"•••• ({len(text)} characters)"
