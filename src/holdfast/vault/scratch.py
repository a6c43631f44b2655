"""A private folder for the time of one piece of work."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.durable.files import make_folder, remove_tree
from holdfast.durable.names import long_path
from holdfast.errors import storage_errors

_STALE = 86_400.0  # seconds after which what is left is nobody's any more


@contextmanager
def scratch_folder(private: Path) -> Iterator[Path]:
    """A folder below `private` that is removed at the end, with what killed work left long ago."""
    place = private / "scratch"
    make_folder(private, private=True)
    make_folder(place, private=True)
    with storage_errors(place, "clean up"):
        for path in long_path(place).iterdir():
            if time.time() - path.stat().st_mtime > _STALE:
                remove_tree(path)
    folder = Path(tempfile.mkdtemp(dir=place))
    try:
        yield folder
    finally:
        remove_tree(folder)
