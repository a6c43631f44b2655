"""Projections written down in a Python file, for those who have no program that runs."""

import importlib.util
import sys
from pathlib import Path

from holdfast.errors import NotFoundError, UsageError
from holdfast.events.log import EventLog
from holdfast.events.projections import Projection

_HOW = "define projections(log), which returns a list of log.projection(…)"


def load_projections(path: Path, log: EventLog) -> list[Projection]:
    """What the function ``projections(log)`` of the file returns; it may register upcasters, too.

    Its folder is put on `sys.path`, as when it is run as a script. Raises `NotFoundError`,
    `UsageError` when its code fails or has no such function.
    """
    if not path.is_file():
        raise NotFoundError("no such Python file", path=path)
    spec = importlib.util.spec_from_file_location(f"holdfast_projections_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError("not a Python file", path=path)
    module = importlib.util.module_from_spec(spec)
    folder = str(path.absolute().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
        found = module.projections(log)
    except Exception as error:
        raise UsageError(
            f"its code failed: {type(error).__name__}: {error}", path=path, hint=_HOW
        ) from error
    if not isinstance(found, list) or not all(isinstance(one, Projection) for one in found):
        raise UsageError("projections(log) returned something else", path=path, hint=_HOW)
    return found
