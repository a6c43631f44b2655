"""The workload of the queue rows: a 214-byte message that knows its number."""

import json
from typing import Any

SIZE = 214  # bytes as JSON


def message(number: int) -> dict[str, Any]:
    """The message with this number; JSON of exactly `SIZE` bytes."""
    body = {
        "id": f"{number:012d}",
        "task": "workflow-123:task-456",
        "agent": "observatory-agent",
        "action": "summarise",
        "source": "notes/2026/11/bees-and-wasps.md",
        "text": "",
    }
    room = SIZE - len(json.dumps(body, separators=(",", ":")))
    return {**body, "text": "x" * room}


def number_of(body: dict[str, Any]) -> int:
    """The number that `message` was made with."""
    return int(body["id"])
