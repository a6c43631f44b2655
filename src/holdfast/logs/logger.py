"""Loggers: what a program calls.

A call that returned has written its line with one ``write(2)``: it survives kill -9 of every
process (durability ``process``). When the disk refuses, the call raises `StorageError`; a log that
drops lines silently would be worth less than one that says so. Standard `logging` users get that
library's custom through `HoldfastHandler`: a message on standard error, and the program goes on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from time import time_ns
from typing import Any

from holdfast.context import current_task_id
from holdfast.durable.names import check_identifier
from holdfast.errors import UsageError
from holdfast.logs import places
from holdfast.logs.files import LogFile, Rotation
from holdfast.logs.lines import (
    LEVELS,
    begin_second,
    clashes,
    encode_fields,
    free_keys,
    level_part,
    text_of,
)
from holdfast.logs.redaction import redacted

_context: ContextVar[dict[str, Any] | None] = ContextVar("holdfast_log_context", default=None)

# The current second and a line's beginning in it, as one value, so that threads see both or none.
_second_and_start: tuple[int, bytes] = (-1, b"")


class Logger:
    """Writes the lines of one component. Made by `get_logger` and `bind`; safe in all threads."""

    __slots__ = ("_bound", "_file", "_parts", "_threshold", "component")

    def __init__(self, component: str, file: LogFile, threshold: int, bound: dict[str, Any]):
        self.component = component
        self._file = file
        self._threshold = threshold
        self._bound = bound
        self._parts = {level: level_part(component, level) for level in LEVELS}

    @property
    def path(self) -> Path:
        """The file that the lines go to."""
        return self._file.path

    def debug(self, message: object, /, **keys: Any) -> None:
        """What only helps to find a fault."""
        if self._threshold <= 10:
            self._write("DEBUG", message, keys)

    def info(self, message: object, /, **keys: Any) -> None:
        """What happened, as planned."""
        if self._threshold <= 20:
            self._write("INFO", message, keys)

    def warning(self, message: object, /, **keys: Any) -> None:
        """What somebody should look at some day."""
        if self._threshold <= 30:
            self._write("WARNING", message, keys)

    def error(self, message: object, /, **keys: Any) -> None:
        """What went wrong."""
        if self._threshold <= 40:
            self._write("ERROR", message, keys)

    def critical(self, message: object, /, **keys: Any) -> None:
        """What stops the work."""
        if self._threshold <= 50:
            self._write("CRITICAL", message, keys)

    def exception(self, message: object, /, **keys: Any) -> None:
        """An error with the exception being handled as ``error_type``, ``error``, ``traceback``."""
        if self._threshold <= 40:
            self._write("ERROR", message, {**_handled_exception(), **keys})

    def log(self, level: str, message: object, /, **keys: Any) -> None:
        """Write at the level named `level`. Raises `UsageError` for a name there is not."""
        if self._threshold <= level_number(level):
            self._write(level.upper(), message, keys)

    def is_enabled(self, level: str) -> bool:
        """Whether lines of `level` are written, for when only preparing one is dear."""
        return self._threshold <= level_number(level)

    def bind(self, **keys: Any) -> "Logger":
        """A logger that adds `keys` to each line."""
        bound = {**self._bound, **free_keys(keys)}
        return Logger(self.component, self._file, self._threshold, bound)

    def _write(self, level: str, message: object, keys: dict[str, Any]) -> None:
        global _second_and_start
        now = time_ns()
        second = now // 1_000_000_000
        known, start = _second_and_start
        if second != known:
            start = begin_second(second)
            _second_and_start = (second, start)
        if message.__class__ is not str:
            message = text_of(message)
        fields = {"message": message, "task_id": current_task_id()}
        inherited = _context.get()
        if inherited:
            fields.update(inherited)
        if self._bound:
            fields.update(self._bound)
        if keys:
            fields.update(free_keys(keys) if clashes(keys) else keys)
        body = redacted(encode_fields(fields))
        micros = now // 1000 % 1_000_000
        line = b"%b%06d%b%b\n" % (start, micros, self._parts[level], body[1:])
        self._file.append(line, second)


def _handled_exception() -> dict[str, str]:
    import sys

    error = sys.exception()
    return {} if error is None else exception_keys(error)


def exception_keys(error: BaseException) -> dict[str, str]:
    """What a line says of an exception."""
    import traceback

    return {
        "error_type": type(error).__qualname__,
        "error": text_of(error),
        "traceback": "".join(traceback.format_exception(error)),
    }


def level_number(level: str) -> int:
    """The standard library's number of a level's name, in any case. Raises `UsageError`."""
    try:
        return LEVELS[level.upper()]
    except KeyError:
        raise UsageError(f"no level is called {level!r}", hint=", ".join(LEVELS)) from None


@contextmanager
def log_context(**keys: Any) -> Iterator[None]:
    """Add `keys` to each line that the body writes, in this thread or asyncio task.

    A key given to `bind` or to the call itself goes before one from here.
    """
    token = _context.set({**(_context.get() or {}), **free_keys(keys)})
    try:
        yield
    finally:
        _context.reset(token)


_files: dict[tuple[str, Path | None, Rotation], LogFile] = {}
_loggers: dict[tuple[str, Path | None, str, Rotation], Logger] = {}


def get_logger(
    component: str,
    *,
    directory: Path | str | None = None,
    level: str = "INFO",
    rotation: Rotation | None = None,
) -> Logger:
    """The logger of `component`, which writes to ``<directory>/<component>.log``.

    Without `directory` the folder is found when the first line is written: the one given to
    `use_directory` (an opened workspace does that), else ``logs/`` of the workspace that
    ``$HOLDFAST_WORKSPACE`` names or that lies nearest upwards, else the user's log folder.
    The same arguments give the same logger.

    Raises `UsageError` for a component that cannot be a file name or a level there is not, and
    `StorageError` when a given `directory` or the file cannot be made.
    """
    folder = None if directory is None else Path(directory).absolute()
    chosen = rotation or Rotation()
    key = (component, folder, level, chosen)
    if key not in _loggers:
        threshold = level_number(level)
        check_identifier(component, "component")
        file = _files.setdefault((component, folder, chosen), LogFile(component, folder, chosen))
        if folder is not None:
            file.open()
        _loggers[key] = Logger(component, file, threshold, {})
    return _loggers[key]


def use_directory(directory: Path | None) -> None:
    """Send the lines of loggers without a `directory` there from now on."""
    places.choose(directory)
    for (_, folder, _), file in list(_files.items()):
        if folder is None:
            file.close()


def close_loggers() -> None:
    """Close all log files. Loggers stay good: their next line opens the file again."""
    for file in list(_files.values()):
        file.close()
