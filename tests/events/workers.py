"""Child processes of the crash tests: they append until they are killed.

``python -m tests.events.workers URL NOTES SEED COUNT`` writes what was acknowledged to NOTES, one
line per returned call: the position and the data of each event.
"""

import os
import random
import sys
import time
from pathlib import Path

from holdfast.errors import BusyError, ConflictError, StorageError
from holdfast.events import EventLog


def work(url: str, notes: Path, seed: int, count: int) -> None:
    """Append `count` times; after each returned call, note what it acknowledged.

    A lost server is waited for. What an unanswered append left is kept or not, so it is not noted.
    """
    chance = random.Random(seed)
    note = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    log = EventLog(url)
    for number in range(count):
        batch = [f"{seed}-{number}-{part}" for part in range(chance.choice([1, 1, 1, 5]))]
        stream = f"s{chance.randint(0, 2)}"
        try:
            if len(batch) == 1:
                last = log.append(stream, "t", batch[0], key=batch[0]).position
            else:
                last = log.append_many(stream, [("t", data) for data in batch]).position
        except (StorageError, BusyError, ConflictError):
            time.sleep(0.05)
            continue
        first = last - len(batch) + 1
        lines = [f"{first + part} {data}\n" for part, data in enumerate(batch)]
        os.write(note, "".join(lines).encode())
    log.close()


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
