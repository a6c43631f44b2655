"""A service's output becomes lines of ``logs/<kind>-<name>.log``."""

from collections.abc import Iterable
from typing import Any

import msgspec

from holdfast.logs import Logger
from holdfast.logs.lines import LEVELS

_OWN = ("timestamp", "component", "level", "message")


def log_lines(logger: Logger, lines: Iterable[bytes]) -> None:
    """Write each line as one of the log; one that is a log line already keeps level and keys.

    Raises `StorageError`.
    """
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip()
        if not text:
            continue
        level, message, keys = _parts(text)
        logger.log(level, message, **keys)


def _parts(text: str) -> tuple[str, str, dict[str, Any]]:
    if text.startswith("{"):
        try:
            facts = msgspec.json.decode(text)
        except msgspec.MsgspecError:
            facts = None
        if isinstance(facts, dict) and isinstance(facts.get("message"), str):
            level = str(facts.get("level", "INFO")).upper()
            keys = {key: value for key, value in facts.items() if key not in _OWN}
            return level if level in LEVELS else "INFO", facts["message"], keys
    return "INFO", text, {}
