"""Commands as the system can start them."""

import shutil
import sys
from collections.abc import Mapping, Sequence


def startable(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """`command` with its program's whole name, where the system finds no other.

    Windows itself looks for ``npx.exe`` only; ``npx`` is a file ``npx.cmd`` there, which a shell
    finds. A program that is not found stays as it is.
    """
    if sys.platform != "win32":
        return list(command)
    found = shutil.which(command[0], path=environment.get("PATH"))
    return [found or command[0], *command[1:]]
