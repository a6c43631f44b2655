"""The durable message queues of this workspace: ``get_queue("jobs").put({"topic": "bees"})``."""

from pathlib import Path

import holdfast
from holdfast import Queue

_WORKSPACE = Path(__file__).parents[2]


def get_queue(name: str) -> Queue:
    """The queue `name`, made when it is first used."""
    return holdfast.open_workspace(_WORKSPACE).queue(name)
