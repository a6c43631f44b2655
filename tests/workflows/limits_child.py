"""A process whose steps note when they begin and end; at most two of them at once anywhere.

Usage: ``python limits_child.py FOLDER URL RUN``.
"""

import os
import sys
import time
from pathlib import Path

from holdfast.workflows import Workflows, step, workflow

FOLDER = Path(sys.argv[1])


@step(concurrency=2)
def narrow(number: int) -> None:
    _note(f"+{os.getpid()}/{number}")
    time.sleep(0.01)
    _note(f"-{os.getpid()}/{number}")


@workflow
def crowd(count: int) -> None:
    narrow.map(range(count), workers=4)


def _note(text: str) -> None:
    descriptor = os.open(FOLDER / "noted", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


if __name__ == "__main__":
    with Workflows(sys.argv[2]) as engine:
        engine.run(crowd, (8,), run_id=sys.argv[3])
