"""A process that logs: ``writer.py DIRECTORY NAME LINES MAX_BYTES``; acknowledges on stdout."""

import os
import sys
from pathlib import Path

from holdfast.logs import Rotation, get_logger


def main() -> None:
    directory, name, lines, max_bytes = sys.argv[1:]
    log = get_logger("shared", directory=Path(directory), rotation=Rotation(int(max_bytes)))
    for number in range(int(lines)):
        log.info("line", writer=name, number=number, filler="x" * (number % 300))
        if name.startswith("ack"):
            os.write(1, b"%d\n" % number)


main()
