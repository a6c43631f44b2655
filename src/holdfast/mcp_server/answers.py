"""What leaves the server: plain JSON data, secrets masked, bounded in size.

An agent reads every character of an answer, so that one which is too long is worse than a part of
it with a note that says how to get the rest.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.claude.masking import mask, mask_text
from holdfast.errors import HoldfastError
from holdfast.secrets.scanning import secrets_in

LARGEST = 60_000
"""Characters of an answer, as JSON."""

_LONGEST_TEXT = 4_000  # characters
_MOST_ITEMS = 1_000  # of one list or object
_DEEPEST = 24
# Rules for settings hold too: a log line may say "password = …".
_LIKE = "answer.cfg"


def answer_of(value: Any, more: str = "") -> dict[str, Any]:
    """`value` as an object that may leave; `more` says how to get what was left out.

    What is too long loses the ends of its lists, the largest first; `leftOut` counts by list.
    """
    data = _plain(value)
    document: dict[str, Any] = data if isinstance(data, dict) else {"items": data}
    left_out: dict[str, int] = {}
    for name, holder, key in list(_lists(document)):
        _shorten(left_out, name, holder, key, _MOST_ITEMS)
    document = _clean(mask(document))
    while _size(document) > LARGEST:
        lists = [each for each in _lists(document) if len(each[1][each[2]]) > 1]
        if not lists:
            document = _cut(document)
            left_out["everything else"] = 1
            break
        name, holder, key = max(lists, key=lambda each: _size(each[1][each[2]]))
        _shorten(left_out, name, holder, key, len(holder[key]) // 2)
    if left_out:
        document |= {"leftOut": left_out, "more": more or "ask for less at once"}
    return document


def fitting(rows: list[dict[str, Any]]) -> int:
    """How many of `rows`, from the first one on, surely fit into one answer; at least one."""
    size = 0
    for number, row in enumerate(rows):
        size += _size(_clean(mask(_plain(row))))
        if size > LARGEST * 3 // 4:
            return max(1, number)
    return len(rows)


def error_text(error: HoldfastError) -> str:
    """An error as an agent is told it: what, where, and the next thing to do."""
    facts = error.as_dict()
    lines = [f"{facts['type']}: {facts['message']}"]
    lines += [f"{key}: {facts[key]}" for key in ("path", "line", "hint") if facts.get(key)]
    return masked_text("\n".join(lines))


def masked_text(text: str) -> str:
    """`text` without lone surrogates, cut when it is long, likely secrets in it masked."""
    text = text.encode("utf-8", "backslashreplace").decode()
    cut = len(text) - _LONGEST_TEXT
    text = mask_text(text[:_LONGEST_TEXT])
    for secret in secrets_in(text.encode(), _LIKE):
        text = text.replace(secret.value.decode("utf-8", "replace"), secret.masked)
    return f"{text}… ({cut} more characters)" if cut > 0 else text


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, str_keys=True)


def _clean(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return masked_text(value) if len(value) > 7 or not value.isascii() else value
    if depth >= _DEEPEST and isinstance(value, dict | list):
        return "… (deeper than is shown)"
    if isinstance(value, dict):
        pairs = list(value.items())[:_MOST_ITEMS]
        return {masked_text(str(key)): _clean(inner, depth + 1) for key, inner in pairs}
    if isinstance(value, list):
        rest = [f"… ({len(value) - _MOST_ITEMS} more)"] if len(value) > _MOST_ITEMS else []
        return [*(_clean(inner, depth + 1) for inner in value[:_MOST_ITEMS]), *rest]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        return str(value)
    return value


def _size(document: Any) -> int:
    return len(msgspec.json.encode(document))


def _lists(document: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every list below `document` that no other list holds: its name, its holder, its key."""
    for key, value in document.items():
        if isinstance(value, list):
            yield above + key, document, key
        elif isinstance(value, dict):
            yield from _lists(value, f"{above}{key}.")


def _shorten(
    left_out: dict[str, int], name: str, holder: dict[str, Any], key: str, most: int
) -> None:
    if (gone := len(holder[key]) - most) > 0:
        holder[key] = holder[key][:most]
        left_out[name] = left_out.get(name, 0) + gone


def _cut(document: dict[str, Any]) -> dict[str, Any]:
    """What is too long without its lists: short values stay, of the others the beginning."""
    room = LARGEST // (2 * max(1, len(document)))
    cut = {}
    for key, value in list(document.items())[:_MOST_ITEMS]:
        text = msgspec.json.encode(value).decode()
        cut[key] = value if len(text) <= room else text[:room] + "…"
    return cut
