"""Closing a queue or a topic twice closes nothing else, and a closed one opens itself again."""

from pathlib import Path

from holdfast.engines.urls import url_for
from holdfast.queues import Queue, Topic


def test_twice_is_once(tmp_path: Path) -> None:
    url = url_for("file", tmp_path / "queues")
    for store in (Queue("jobs", url=url), Topic("news", url=url)):
        store.put(1)
        store.close()
        with (tmp_path / "other").open("w", encoding="utf-8") as other:  # gets the free descriptor
            store.close()
            other.write("still open")
        store.put(2)
        store.close()
    with Queue("jobs", url=url) as queue:
        assert [message.body for message in queue.take(5)] == [1, 2]
