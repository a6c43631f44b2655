"""What belongs to one task, from every store, in order of time: run, steps, messages, events, logs.

What is no log line is shown as one: a line's keys, the store's name as component.
"""

import heapq
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from holdfast.errors import HoldfastError, NotFoundError
from holdfast.facade import Workspace
from holdfast.logs.lines import key_of
from holdfast.logs.query import belongs
from holdfast.logs.reading import Record, Search

_LOOKED_AT = 10_000
"""So many messages of a queue, and of the newest events, are looked through for the task."""


def timeline(
    workspace: Workspace, found: Search, task: str, problems: list[HoldfastError]
) -> Iterator[Record]:
    """The log lines `found` and whatever the stores hold of `task`, oldest first.

    The conditions of the search hold for all of it. A store that cannot be read adds its error to
    `problems`; the others are shown all the same.
    """
    more: list[Record] = []
    for look in (_of_run, _of_queues, _of_events):
        try:
            more += (record for record in look(workspace, task) if _wanted(record, found))
        except HoldfastError as error:
            problems.append(error)
    merged = heapq.merge(found, sorted(more, key=_by_key), key=_by_key)
    return merged if found.limit is None else iter(deque(merged, maxlen=found.limit))


def _of_run(workspace: Workspace, task: str) -> Iterator[Record]:
    run_id, _, step_id = task.partition(":")
    try:
        run = workspace.workflows.get(run_id)
        steps = list(workspace.workflows.steps(run_id))
    except NotFoundError:
        return
    if not step_id:
        yield _record(
            "workflows", run.created_at, "Run begins", run_id, workflow=run.name, input=run.input
        )
    ended = run.created_at
    for step in steps:
        task_id = f"{run_id}:{step.id}"
        if not belongs(task_id, task):
            continue
        moment = step.started_at + timedelta(seconds=step.seconds)
        ended = max(ended, moment)
        yield _record(
            "workflows",
            moment,
            f"Step {step.status}",
            task_id,
            level="ERROR" if step.error else "INFO",
            seconds=step.seconds,
            attempts=step.attempts,
            **({"error": str(step.error)} if step.error else {}),
        )
    if run.finished_at is not None and not step_id:
        level = "ERROR" if run.status == "failed" else "INFO"
        error = {"error": str(run.error)} if run.error else {}
        message = f"Run {run.status}"
        # Stored in whole milliseconds, so it may seem to be before its last step's end.
        finished = max(ended, run.finished_at)
        yield _record("workflows", finished, message, run_id, level=level, **error)


def _of_queues(workspace: Workspace, task: str) -> Iterator[Record]:
    for name in workspace.queue_names():
        queue = workspace.queue(name)
        for state, messages in (
            ("waits", queue.peek(_LOOKED_AT)),
            ("is dead", queue.dead(_LOOKED_AT)),
        ):
            for message in messages:
                if belongs(message.task_id, task):
                    put = datetime.fromtimestamp(message.enqueued_at, UTC)
                    yield _record(
                        "queues",
                        put,
                        f"Message {state} in {name}",
                        message.task_id,
                        level="ERROR" if state == "is dead" else "INFO",
                        message_id=message.id,
                        attempts=message.attempts,
                        body=message.body,
                        **({"reason": message.reason} if message.reason else {}),
                    )


def _of_events(workspace: Workspace, task: str) -> Iterator[Record]:
    log = workspace.events
    for event in log.read(from_=max(1, log.position() - _LOOKED_AT)):
        if belongs(event.task_id, task):
            moment = datetime.fromtimestamp(event.recorded_at, UTC)
            message = f"Event {event.type} in {event.stream}"
            yield _record("events", moment, message, event.task_id, data=event.data)


def _record(
    component: str,
    moment: datetime,
    message: str,
    task_id: str | None,
    *,
    level: str = "INFO",
    **further: Any,
) -> Record:
    key = key_of(moment)
    data = {
        "timestamp": f"{key}Z",
        "component": component,
        "level": level,
        "message": message,
        "task_id": task_id,
        **further,
    }
    return Record(key, data, msgspec.json.encode(data), Path(f"{component}.log"))


def _wanted(record: Record, found: Search) -> bool:
    return found.query.wants(record.key, record.data, record.data["component"])


def _by_key(record: Record) -> str:
    return record.key
