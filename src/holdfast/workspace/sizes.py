"""Sizes as people write them: ``10MB``, ``1.5G``, ``512MiB``, ``4096``."""

import re

from holdfast.errors import UsageError

PATTERN = r"^\s*\d+(\.\d+)?\s*([KMGTkmgt][Ii]?)?[Bb]?\s*$"
"""What a size looks like, as a regular expression that JSON Schema knows too."""

_PARTS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(I?))?B?\s*", re.IGNORECASE | re.ASCII)


def parse_size(text: str | int) -> int:
    """The bytes that `text` means: powers of 1000, of 1024 with an ``i``. Raises `UsageError`."""
    found = _PARTS.fullmatch(str(text))
    if found is None:
        raise UsageError(f"{text!r} is no size", hint="for example 10MB, 1.5GB or 4096")
    number, unit, binary = found.groups()
    step = 1024 if binary else 1000
    return int(float(number) * step ** (" KMGT".index(unit.upper()) if unit else 0))


def readable_size(size: float) -> str:
    """A number of bytes as people read it, e.g. ``1.5 MB`` (powers of 1000)."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"
