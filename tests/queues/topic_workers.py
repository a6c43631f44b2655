"""Child processes of the crash tests of topics: they put, take and ack until they are killed.

``python -m tests.queues.topic_workers URL NOTES SEED COUNT`` writes what was acknowledged to NOTES,
one line per returned call: ``put BODY``, ``ack BODY``.
"""

import os
import random
import sys
from pathlib import Path

from holdfast.engines.urls import parse_url
from holdfast.queues import Retention, Topic, TopicStore
from holdfast.queues.stores.file.topic import FileTopicStore
from tests.queues.workers import settle


def open_small(url: str) -> Topic:
    """A topic whose files, if it has any, are so small that it rolls and trims all the time."""
    store: TopicStore | None = None
    engine = parse_url(url)
    if engine.scheme == "file":
        folder = engine.require_path() / "t"
        store = FileTopicStore(folder, segment_bytes=1500, ledger_bytes=1500)
    return Topic("t", url=url, store=store, retain=Retention(count=10))


def work(url: str, notes: Path, seed: int, count: int) -> None:
    """Do `count` random things; after each returned call, note what it acknowledged."""
    chance = random.Random(seed)
    note = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    topic = open_small(url)
    topic.subscribe("late").close()  # gets nothing meanwhile: all is kept for it
    subscription = topic.subscribe("a", lease=0.3, max_attempts=1_000_000)
    for number in range(count):
        body = f"{seed}-{number}"
        what = chance.random()
        if what < 0.4:
            topic.put(body, group=chance.choice([None, None, "g"]))
            os.write(note, f"put {body}\n".encode())
        elif what < 0.5:
            topic.put_many([f"{body}-{part}" for part in range(3)])
            os.write(note, "".join(f"put {body}-{part}\n" for part in range(3)).encode())
        elif what < 0.55:
            topic.trim()
        else:
            for message in subscription.take(chance.choice([1, 1, 3])):
                settle(subscription, message.receipt, message.body, chance, note)
    subscription.close()
    topic.close()


if __name__ == "__main__":
    work(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
