"""A workspace's registries are captured under their locks, not in the middle of a change."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from holdfast.durable.locks import Lock
from holdfast.durable.names import long_path
from holdfast.errors import BusyError, StorageError
from holdfast.workspace.layout import STATE_FOLDER

_LOCKS = f"{STATE_FOLDER}/locks"
_GENERATIONS = f"{STATE_FOLDER}/generations/"
_CONFIGS = "configs/"
_SUFFIX = ".lock"
_TIMEOUT = 5.0
_NOTHING = nullcontext()  # for the many folders that hold no registry


class RegistryLocks:
    """The locks of the workspace at `root`: of ``X.json``, and of ``generations/X``, is ``X``."""

    def __init__(self, root: Path) -> None:
        self._root = root
        locks = long_path(root / _LOCKS)
        found = locks.glob(f"*{_SUFFIX}") if locks.is_dir() else ()
        self._names = {path.name.removesuffix(_SUFFIX) for path in found}

    def held(self, folder: str) -> AbstractContextManager[None]:
        """Hold the lock of what lies directly in `folder`, if that is a registry's.

        A lock that others hold for long is not waited for: each file is whole in any case.
        """
        return self._held(folder) if folder.startswith((_CONFIGS, _GENERATIONS)) else _NOTHING

    @contextmanager
    def _held(self, folder: str) -> Iterator[None]:
        with ExitStack() as stack:
            for name in self._concerned(folder):
                with suppress(BusyError, StorageError):
                    path = self._root / _LOCKS / (name + _SUFFIX)
                    stack.enter_context(Lock(path, purpose="take a snapshot", timeout=_TIMEOUT))
            yield

    def _concerned(self, folder: str) -> list[str]:
        if folder.startswith(_GENERATIONS):
            name = folder.removeprefix(_GENERATIONS)
            return [name] if name in self._names else []
        place = long_path(self._root / folder)
        return sorted(name for name in self._names if (place / f"{name}.json").is_file())
