"""A value as it may stand in a file: plain, in JSON, in a URL, in base64."""

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

from holdfast.errors import UsageError

SHORTEST = 6  # characters; a shorter value is found in innocent text as well


class Needle:
    """A value that is looked for. Raises `UsageError` for one that is too short."""

    def __init__(self, value: str) -> None:
        if len(value) < SHORTEST:
            raise UsageError(f"a value of fewer than {SHORTEST} characters is found everywhere")
        plain = value.encode("utf-8", "surrogateescape")
        in_json = {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
        forms = {plain, quote(plain, safe="").encode(), *_in_base64(plain)}
        forms |= {text.encode("utf-8", "surrogateescape") for text in in_json}
        ordered = sorted(forms, key=len, reverse=True)
        self._longest = len(ordered[0])
        self._pattern = re.compile(b"|".join(map(re.escape, ordered)))

    def is_in(self, pieces: Iterable[bytes]) -> bool:
        """Whether a text, given in pieces, holds it."""
        return self.line_in(pieces) is not None

    def line_in(self, pieces: Iterable[bytes]) -> int | None:
        """The first line, from 1, of a text given in pieces that holds it."""
        line, tail = 1, b""
        for piece in pieces:
            text = tail + piece
            if (match := self._pattern.search(text)) is not None:
                return line + text.count(b"\n", 0, match.start())
            cut = max(0, len(text) - self._longest + 1)
            line += text.count(b"\n", 0, cut)
            tail = text[cut:]
        return None


def _in_base64(plain: bytes) -> list[bytes]:
    """The characters that every base64 text has that encodes `plain` among other bytes."""
    forms = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + plain).rstrip(b"=")
        # What also depends on the neighbours is left out, at both ends.
        whole = (before + len(plain)) * 8 // 6
        part = text[(before * 8 + 5) // 6 : whole]
        forms += [part, part.replace(b"+", b"-").replace(b"/", b"_")]
    return [form for form in forms if len(form) >= SHORTEST]
