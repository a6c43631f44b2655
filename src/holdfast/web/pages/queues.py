"""Queues: how full they are and were, what waits in them, and what died."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from starlette.routing import Route

from holdfast.errors import UsageError
from holdfast.facade import Workspace
from holdfast.upkeep.purging import purge_queue
from holdfast.web.charts import bars, line
from holdfast.web.page import Asked, Done, Page, act, show
from holdfast.web.rendering import link
from holdfast.web.sampling import Sample

PAGE = Page("Queues", "/queues", "queues")

_PEEKED = 50
_DEAD = 200
_BARS = 60


def routes() -> Sequence[Route]:
    return [
        show("/queues", "queues.html", queues),
        show("/queues/{queue}", "queue.html", queue),
        act("/queues/{queue}/requeue", requeue),
        act("/queues/{queue}/pause", pause),
        act("/queues/{queue}/purge", purge),
    ]


def queues(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """All queues, topics and subscriptions."""
    rows = workspace.queue_rows()
    return {
        "rows": rows,
        "lines": {row["queue"]: _depths(asked.samples.of(row["queue"])) for row in rows},
    }


def queue(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """One queue: what comes next in it, and its dead letters."""
    found = workspace.existing_queue(asked.path["queue"])
    stats = found.stats()
    samples = asked.samples.of(found.name)
    return {
        "name": asked.path["queue"],
        "stats": stats,
        "count": stats.ready + stats.delayed + stats.leased + stats.blocked + stats.dead,
        "messages": found.peek(_PEEKED),
        "dead": found.dead(_DEAD),
        "samples": samples,
        "since": datetime.fromtimestamp(samples[0].at, UTC) if samples else None,
        "depth": _depths(samples),
        "highest": max((sample.depth for sample in samples), default=0),
        "rates": _rates(samples),
    }


def requeue(workspace: Workspace, asked: Asked) -> Done:
    """Make dead letters ready again: one, or all."""
    name, one = asked.path["queue"], asked.text("message")
    count = workspace.existing_queue(name).requeue_dead([one] if one else None)
    told = "1 message is" if count == 1 else f"{count} messages are"
    return Done(link("/queues", name), f"{told} ready again")


def pause(workspace: Workspace, asked: Asked) -> Done:
    """Give out nothing until it is told to go on, or go on."""
    name = asked.path["queue"]
    found = workspace.existing_queue(name)
    if asked.text("off"):
        found.resume()
        return Done(link("/queues", name), f"{name} gives messages out again")
    found.pause()
    return Done(link("/queues", name), f"{name} is paused: it gives out no messages")


def purge(workspace: Workspace, asked: Asked) -> Done:
    """Empty a queue; what was in it goes to quarantine."""
    name = asked.path["queue"]
    found = workspace.existing_queue(name)
    if asked.text("name") != name:
        raise UsageError("the name that was typed is not the queue's", hint="nothing was changed")
    entry, count = purge_queue(workspace, found)
    told = f"{count} messages went to quarantine as {entry.id}; holdfast undo brings them back"
    return Done(link("/queues", name), told)


def _depths(samples: Sequence[Sample]) -> str:
    return line([sample.depth for sample in samples]) if len(samples) > 1 else ""


def _rates(samples: Sequence[Sample]) -> dict[str, Any]:
    """By how much the queue grew and shrank, in pieces of equal length."""
    if len(samples) < 2:
        return {"grew": [], "shrank": []}
    size = max(1, -(-len(samples) // _BARS))
    pieces = [samples[at : at + size + 1] for at in range(0, len(samples) - 1, size)]
    moments = [datetime.fromtimestamp(piece[0].at, UTC) for piece in pieces]
    steps = [[after.depth - before.depth for before, after in pairwise(piece)] for piece in pieces]
    grew = [sum(step for step in each if step > 0) for each in steps]
    shrank = [sum(-step for step in each if step < 0) for each in steps]
    return {
        "grew": list(zip(bars(grew), moments, strict=True)),
        "shrank": list(zip(bars(shrank), moments, strict=True)),
        "seconds": timedelta(seconds=(samples[-1].at - samples[0].at) / len(pieces)),
        "in": sum(grew),
        "out": sum(shrank),
    }
