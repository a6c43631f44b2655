"""structlog, written into the same files."""

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import structlog

from holdfast.logs.files import Rotation
from holdfast.logs.lines import LEVELS
from holdfast.logs.logger import exception_keys, get_logger

_LEVEL_OF = {"warn": "WARNING", "exception": "ERROR", "fatal": "CRITICAL", "msg": "INFO"}


class HoldfastProcessor:
    """The last of structlog's processors: each event becomes a line of `component`.

    ::

        structlog.configure(processors=[
            structlog.contextvars.merge_contextvars,
            HoldfastProcessor("observatory"),
        ])

    The event is the message, everything else a further key; the level is that of the method
    called, and an exception given with ``exc_info`` is written as `Logger.exception` writes it.
    structlog itself then prints nothing. Raises `StorageError` when a line cannot be written.
    """

    def __init__(
        self,
        component: str,
        *,
        directory: Path | str | None = None,
        rotation: Rotation | None = None,
        level: str = "DEBUG",
    ) -> None:
        self._logger = get_logger(component, directory=directory, level=level, rotation=rotation)

    def __call__(
        self, logger: object, method: str, event_dict: MutableMapping[str, Any]
    ) -> NoReturn:
        """Write the event. Always raises `structlog.DropEvent`, as nothing is left to print."""
        keys = dict(event_dict)
        message = keys.pop("event", "")
        error = _error_of(keys.pop("exc_info", None), method)
        if error is not None:
            keys = {**exception_keys(error), **keys}
        level = _LEVEL_OF.get(method, method.upper())
        self._logger.log(level if level in LEVELS else "INFO", message, **keys)
        raise structlog.DropEvent


def _error_of(given: Any, method: str) -> BaseException | None:
    """The exception that structlog's ``exc_info`` means."""
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple):
        return given[1] if len(given) == 3 and isinstance(given[1], BaseException) else None
    if not given and method != "exception":
        return None
    import sys

    return sys.exception()
