"""The child process of the crash tests: runs one workflow that notes in a ledger what it does.

Usage: ``python crash_child.py FOLDER start|resume RUN URL``. Each step appends its task id to
``executed`` when it runs; the test compares that with what the store has recorded.
"""

import os
import sys
import time
from pathlib import Path

from holdfast.context import current_task_id
from holdfast.workflows import Workflows, step, workflow

FOLDER = Path(sys.argv[1])
STEPS = 12


@step
def add(number: int) -> int:
    note()
    return number + 1


@step
def square(number: int) -> int:
    note()
    return number * number


@workflow
def sums(count: int) -> int:
    total = 0
    for _ in range(count):
        total = add(total)
    return total + sum(square.map(range(count), workers=3))


def note() -> None:
    """One whole line, in the file before the step goes on."""
    line = f"{current_task_id()}\n".encode()
    descriptor = os.open(FOLDER / "executed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, line)
    os.close(descriptor)
    time.sleep(0.001)


if __name__ == "__main__":
    with Workflows(sys.argv[4], lease=60) as engine:
        if sys.argv[2] == "start":
            engine.run(sums, (STEPS,), run_id=sys.argv[3])
        else:
            for run in engine.recover():
                run.result()
            engine.run(sums, (STEPS,), run_id=sys.argv[3])
