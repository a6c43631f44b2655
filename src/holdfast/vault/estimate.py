"""How much there is to take, added up beside a first backup so that people see what is left."""

import stat
import threading
from collections.abc import Iterable
from contextlib import suppress

from holdfast.durable.trees import walk
from holdfast.errors import HoldfastError
from holdfast.vault.coverage import Tree


class Estimate:
    """The bytes of all files of some trees: `size` is 0 until a thread has seen every one."""

    def __init__(self, trees: Iterable[Tree]) -> None:
        self.size = 0
        self._trees = list(trees)
        self._stopped = False
        threading.Thread(target=self._add_up, name="holdfast-estimate", daemon=True).start()

    def stop(self) -> None:
        """It is of no use any more."""
        self._stopped = True

    def _add_up(self) -> None:
        size = 0
        for tree in self._trees:
            with suppress(OSError, HoldfastError):  # whoever takes it tells of that
                for found in walk(tree.path, skip=tree.leaves, on_error=lambda *_: None):
                    if self._stopped:
                        return
                    if stat.S_ISREG(found.status.st_mode):
                        size += found.status.st_size
        self.size = size
