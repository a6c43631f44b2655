"""Child processes of the crash tests: they put, take and ack until they are killed.

``python -m tests.queues.workers URL NOTES SEED COUNT`` writes what was acknowledged to NOTES, one
line per returned call: ``put BODY``, ``ack BODY``.
"""

import os
import random
import sys
from pathlib import Path

from holdfast.engines.urls import parse_url
from holdfast.errors import ConflictError
from holdfast.queues import Queue, QueueStore
from holdfast.queues.stores.file import FileQueueStore


def open_small(url: str) -> Queue:
    """A queue; its files, if it has any, are so small that it rolls and compacts all the time."""
    store: QueueStore | None = None
    engine = parse_url(url)
    if engine.scheme == "file":
        folder = engine.require_path() / "q"
        store = FileQueueStore(folder, segment_bytes=3000, ledger_bytes=2000)
    return Queue("q", url=url, store=store, lease=0.3, max_attempts=1_000_000)


def work(url: str, notes: Path, seed: int, count: int) -> None:
    """Do `count` random things; after each returned call, note what it acknowledged."""
    chance = random.Random(seed)
    note = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    queue = open_small(url)
    for number in range(count):
        body = f"{seed}-{number}"
        what = chance.random()
        if what < 0.35:
            queue.put(body)
            os.write(note, f"put {body}\n".encode())
        elif what < 0.45:
            queue.put(body, priority=chance.randint(-1, 1), delay=chance.choice([0, 0.01]))
            os.write(note, f"put {body}\n".encode())
        elif what < 0.5:
            queue.put_many([f"{body}-{part}" for part in range(3)])
            os.write(note, "".join(f"put {body}-{part}\n" for part in range(3)).encode())
        else:
            for message in queue.take(chance.choice([1, 1, 3])):
                settle(queue, message.receipt, message.body, chance, note)
    queue.close()


def settle(queue: Queue, receipt: str, body: str, chance: random.Random, note: int) -> None:
    """Mostly acknowledge it."""
    try:
        if chance.random() < 0.8:
            queue.ack(receipt)
            os.write(note, f"ack {body}\n".encode())
        else:
            queue.nack(receipt, delay=chance.choice([0, 0.01]))
    except ConflictError:
        return  # the lease ran out on a slow machine: somebody else has it


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
