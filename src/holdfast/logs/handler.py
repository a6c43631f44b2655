"""The standard library's loggers, written into the same files."""

import logging
from pathlib import Path
from typing import Any

from holdfast.logs.files import Rotation
from holdfast.logs.logger import exception_keys, get_logger

_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class HoldfastHandler(logging.Handler):
    """A `logging.Handler` whose records become lines of `component`.

    ::

        logging.getLogger().addHandler(HoldfastHandler("observatory"))

    The logger's name goes under ``logger``; what was given as ``extra`` becomes further keys. A
    line that cannot be written goes the standard library's way: `logging.Handler.handleError`.
    """

    def __init__(
        self,
        component: str,
        *,
        directory: Path | str | None = None,
        rotation: Rotation | None = None,
        level: int = logging.NOTSET,
    ) -> None:
        super().__init__(level)
        self._logger = get_logger(component, directory=directory, level="DEBUG", rotation=rotation)

    def emit(self, record: logging.LogRecord) -> None:
        """Write `record`."""
        try:
            extra = {key: vars(record)[key] for key in vars(record).keys() - _ORDINARY}
            keys = {"logger": record.name, **_exception_keys(record), **extra}
            self._logger.log(_level(record.levelno), record.getMessage(), **keys)
        except Exception:
            self.handleError(record)


def _level(number: int) -> str:
    """The level whose number is the nearest not above `number`."""
    if number >= 50:
        return "CRITICAL"
    if number >= 40:
        return "ERROR"
    if number >= 30:
        return "WARNING"
    return "INFO" if number >= 20 else "DEBUG"


def _exception_keys(record: logging.LogRecord) -> dict[str, Any]:
    if not record.exc_info or record.exc_info[1] is None:
        return {}
    return exception_keys(record.exc_info[1])
