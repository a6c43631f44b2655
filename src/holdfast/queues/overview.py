"""Queues, topics and subscriptions, and what is in them, as plain data ready for JSON."""

from collections.abc import Iterator
from typing import Any

import msgspec

from holdfast.queues.queue import Queue
from holdfast.queues.topics import Topic


def queue_row(queue: Queue) -> dict[str, Any]:
    """One queue: how much of it is ready, delayed, leased, dead."""
    return {"queue": queue.name, "kind": "queue", **msgspec.to_builtins(queue.stats())}


def topic_rows(topic: Topic) -> Iterator[dict[str, Any]]:
    """A topic, then each of its subscriptions with its lag."""
    first, last = topic.bounds()
    retain = msgspec.to_builtins(topic.retain)
    yield {
        "queue": topic.name,
        "kind": "topic",
        "ready": last - first + 1,
        "first": first,
        "last": last,
        "retain": retain,
    }
    for status in topic.subscriptions():
        with topic.subscription(status.name) as one:
            stats = msgspec.to_builtins(one.stats())
        place = {"position": status.position, "lag": status.lag}
        yield {"queue": f"{topic.name}@{status.name}", "kind": "subscription", **stats, **place}
