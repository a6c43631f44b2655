"""Emptying a queue: what was in it goes to quarantine first, and can be put again."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from holdfast.durable.journal import JournalWriter
from holdfast.durable.points import note_queue
from holdfast.durable.quarantine import QuarantineEntry
from holdfast.facade import Workspace
from holdfast.queues import Message, Queue

_BATCH = 1000  # messages


def purge_queue(workspace: Workspace, queue: Queue) -> tuple[QuarantineEntry, int]:
    """Empty `queue`; every message is in quarantine, on the disk itself, before it is forgotten.

    Returns where they are, and how many. Raises `StorageError`; then nothing was forgotten.
    """
    taken: list[QuarantineEntry] = []

    def keep(messages: Iterator[Message]) -> None:
        path = workspace.layout.state / f"{queue.name}.purged.jsonl"
        writer = JournalWriter(path, durability="power")
        try:
            while batch := list(islice(messages, _BATCH)):
                writer.append(*(msgspec.json.encode(message.as_dict()) for message in batch))
        finally:
            writer.close()
        entry = workspace.quarantine.take(path, reason=f"purge of {queue.name}")
        note_queue(queue.name, entry.id)
        taken.append(entry)

    count = queue.purge(keep=keep)
    return taken[0], count
