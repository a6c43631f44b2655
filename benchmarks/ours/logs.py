"""Holdfast's logger."""

from pathlib import Path

from holdfast.context import task
from holdfast.logs import Rotation, close_loggers, get_logger


class Log:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "WorkflowEngine.log"
        # One file, so that its lines can be counted; the check whether to rotate stays.
        self._logger = get_logger(
            "WorkflowEngine", directory=folder, rotation=Rotation(max_bytes=2**40)
        )

    def write(self, lines: int) -> None:
        log = self._logger
        with task("workflow-123:task-456"):
            for number in range(lines):
                log.info("Task completed", pages=number, source="notes/bees.md")

    def path(self) -> Path:
        return self._path

    def close(self) -> None:
        close_loggers()


def connect(folder: Path) -> Log:
    """The log in `folder`."""
    return Log(folder)
