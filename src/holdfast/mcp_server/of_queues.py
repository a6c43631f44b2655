"""Tools about queues: look, put, take, settle, requeue what died."""

from typing import Annotated, Any

from pydantic import Field

from holdfast.facade import Workspace
from holdfast.mcp_server.answers import fitting
from holdfast.mcp_server.inputs import Few, Limit, Name, Names, Reason, Seconds
from holdfast.mcp_server.tool import ADDS, DESTROYS, READS, Tool

QueueName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=260,
        description="A queue, or TOPIC@SUBSCRIPTION; see `queues_list`.",
    ),
]


def queues_list(workspace: Workspace) -> Any:
    """All queues, topics and subscriptions: how much is ready, delayed, leased, dead."""
    return {"queues": workspace.queue_rows()}


def queue_put(
    workspace: Workspace,
    queue: Annotated[str, Field(min_length=1, max_length=128, description="A queue or a topic.")],
    body: Annotated[Any, Field(description="Any JSON. A text that is JSON is taken as that.")],
    delay: Seconds = 0,
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0,
    key: Annotated[Name, Field(description="At most one message with this key waits at a time.")]
    | None = None,
    group: Annotated[Name, Field(description="Its messages are worked on in order.")] | None = None,
    ttl: Annotated[Seconds, Field(description="Nobody gets it later than that.")] | None = None,
) -> Any:
    """Put a message into a queue, which is made if it is new, or to every subscription of a topic.
    It is kept when this returns."""
    options: dict[str, Any] = {"delay": delay, "priority": priority, "key": key, "group": group}
    if queue in workspace.topic_names():
        return {"topic": queue, "position": workspace.topic(queue).put(body, ttl=ttl, **options)}
    return {"queue": queue, "id": workspace.queue(queue).put(body, ttl=ttl, **options)}


def queue_peek(workspace: Workspace, queue: QueueName, limit: Limit = 10) -> Any:
    """The next messages of a queue, without taking them."""
    return {"messages": _rows(workspace.existing_queue(queue).peek(limit))}


def queue_take(
    workspace: Workspace,
    queue: QueueName,
    limit: Few = 1,
    lease: Annotated[Seconds, Field(gt=0, description="Yours for so many seconds.")] = 300,
) -> Any:
    """Take messages to work on them. `queue_ack` each receipt when its work is done, `queue_nack`
    when it failed; else the message comes again once the lease ran out."""
    found = workspace.existing_queue(queue)
    taken = found.take(limit, lease=lease)
    rows = _rows(taken)
    kept = fitting(rows)
    found.release(*(message.receipt for message in taken[kept:]))
    return {"messages": rows[:kept], "givenBack": len(taken) - kept}


def queue_ack(workspace: Workspace, queue: QueueName, receipt: Name) -> Any:
    """The work of a taken message is done: it is forgotten for good."""
    workspace.existing_queue(queue).ack(receipt)
    return {"queue": queue, "acknowledged": receipt}


def queue_nack(
    workspace: Workspace,
    queue: QueueName,
    receipt: Name,
    delay: Seconds = 0,
    reason: Reason | None = None,
) -> Any:
    """Give a taken message back, to be tried again; after its last attempt it is a dead letter."""
    workspace.existing_queue(queue).nack(receipt, delay=delay, reason=reason)
    return {"queue": queue, "givenBack": receipt}


def queue_dead(workspace: Workspace, queue: QueueName, limit: Limit = 50) -> Any:
    """The dead letters of a queue and why they died, the oldest first."""
    return {"messages": _rows(workspace.existing_queue(queue).dead(limit))}


def queue_requeue(
    workspace: Workspace,
    queue: QueueName,
    ids: Annotated[Names, Field(description="Message ids; none given means all.")] = [],  # noqa: B006
) -> Any:
    """Make dead letters ready again: all of them, or those named."""
    count = workspace.existing_queue(queue).requeue_dead(ids or None)
    return {"queue": queue, "requeued": count}


def _rows(messages: Any) -> list[dict[str, Any]]:
    return [message.as_dict() for message in messages]


_WHOLE = "ask for fewer; all of it: holdfast queues peek QUEUE --json"
TOOLS = (
    Tool(queues_list, READS),
    Tool(queue_put, ADDS),
    Tool(queue_peek, READS, _WHOLE),
    Tool(queue_take, ADDS, "look with holdfast queues peek QUEUE --json"),
    Tool(queue_ack, DESTROYS),
    Tool(queue_nack, ADDS),
    Tool(queue_dead, READS, _WHOLE),
    Tool(queue_requeue, ADDS),
)
