"""A process that logs as fast as it can: ``crowd.py DIRECTORY NAME LINES MAX_BYTES``."""

import sys
from pathlib import Path

from holdfast.logs import Rotation, get_logger


def main() -> None:
    directory, name, lines, max_bytes = sys.argv[1:]
    rotation = Rotation(int(max_bytes))
    info = get_logger("shared", directory=Path(directory), rotation=rotation).info
    for number in range(int(lines)):
        info("line", writer=name, number=number)


main()
