"""Fault points of the vault, whose errors are reported like those of the disk."""

from pathlib import Path

from holdfast.durable.faults import fault_point
from holdfast.errors import storage_error


def visit(point: str, path: Path, doing: str = "write to the vault") -> None:
    """Pass a fault point; an error armed there is raised as the disk's would be."""
    try:
        fault_point(point)
    except OSError as error:
        raise storage_error(error, path, doing) from error
