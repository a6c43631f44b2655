"""``holdfast queues``: put, take, settle and look at the workspace's queues."""

import sys
from typing import Any

import click
import msgspec

from holdfast.cli.queue_topics import add_topic_commands
from holdfast.cli.terminal import Terminal, command
from holdfast.errors import UsageError
from holdfast.upkeep.purging import purge_queue

_COLUMNS = {"id": "Id", "attempts": "Attempts", "body": "Body", "reason": "Reason"}


@click.group()
def queues() -> None:
    """The workspace's durable queues: put, take with a lease, acknowledge, dead letters."""


@command(queues, "list", examples=["holdfast queues list", "holdfast queues list --json"])
def list_(terminal: Terminal) -> None:
    """List the queues, the topics with their subscriptions, and what is in them.

    The lag of a subscription is how many messages it has not done with.
    """
    with terminal.open() as workspace:
        rows = workspace.queue_rows()
    columns = ("queue", "kind", "ready", "delayed", "leased", "dead", "paused", "oldestAge", "lag")
    headings = (
        *("Queue", "Kind", "Ready", "Delayed", "Leased", "Dead", "Paused", "Oldest (s)", "Lag"),
    )
    terminal.emit_rows(rows, dict(zip(columns, headings, strict=True)), empty="There is no queue.")


@command(
    queues,
    "put",
    examples=[
        """holdfast queues put jobs '{"topic": "bees"}'""",
        "holdfast queues put jobs - --delay 60 < job.json",
        "jq -c .rec.body purged.jsonl | holdfast queues put jobs - --lines",
    ],
)
@click.argument("queue_name", metavar="QUEUE")
@click.argument("body")
@click.option("--delay", type=float, default=0.0, metavar="S", help="Not before S seconds.")
@click.option("--priority", type=int, default=0, help="Higher is taken first.")
@click.option("--key", help="At most one message with this key waits at a time.")
@click.option("--group", help="Messages of a group are worked on one at a time, in order.")
@click.option("--ttl", type=float, metavar="S", help="Nobody gets it later than in S seconds.")
@click.option("--lines", is_flag=True, help="With -: each line is a message of its own.")
def put(
    terminal: Terminal,
    queue_name: str,
    body: str,
    delay: float,
    priority: int,
    key: str | None,
    group: str | None,
    ttl: float | None,
    lines: bool,
) -> None:
    """Put a message: BODY is JSON, or - for standard input. Makes the queue if it is new.

    Put to a topic, it comes to each of its subscriptions.
    """
    chosen = (delay or priority, key, group, ttl)
    if lines and (body != "-" or any(option not in (None, 0) for option in chosen)):
        raise UsageError("--lines goes with the body '-' and no other option")
    text = sys.stdin.read() if body == "-" else body
    bodies = [_parse(line) for line in text.splitlines() if line.strip()] if lines else []
    single = None if lines else _parse(text)
    options: dict[str, Any] = {
        "delay": delay,
        "priority": priority,
        "key": key,
        "group": group,
        "ttl": ttl,
    }
    workspace = terminal.open()
    if queue_name in workspace.topic_names():
        topic = workspace.topic(queue_name)
        positions = topic.put_many(bodies) if lines else [topic.put(single, **options)]
        document = {"topic": queue_name, "positions": positions}
        terminal.emit(document, lambda: "\n".join(map(str, positions)))
        return
    with workspace.queue(queue_name) as queue:
        ids = queue.put_many(bodies) if lines else [queue.put(single, **options)]
    terminal.emit({"queue": queue_name, "ids": ids}, lambda: "\n".join(ids))


@command(
    queues,
    "take",
    examples=["holdfast queues take jobs --lease 300", "holdfast queues take jobs --max 10 --ack"],
)
@click.argument("queue_name", metavar="QUEUE")
@click.option("--max", "limit", type=click.IntRange(1), default=1, help="How many at most.")
@click.option("--lease", type=float, default=60.0, metavar="S", help="Yours for S seconds.")
@click.option("--ack", is_flag=True, help="Acknowledge them at once.")
def take(terminal: Terminal, queue_name: str, limit: int, lease: float, ack: bool) -> None:
    """Take messages; acknowledge each with its receipt before its lease runs out."""
    with terminal.open().existing_queue(queue_name) as queue:
        taken = queue.take(limit, lease=lease)
        rows = [message.as_dict() for message in taken]
        if ack:
            # Shown before they are gone: a broken pipe must not lose them.
            _show(terminal, rows, {"id": "Id", "body": "Body"})
            sys.stdout.flush()
            queue.ack(*(message.receipt for message in taken))
            return
    _show(terminal, rows, {"receipt": "Receipt", "attempts": "Attempts", "body": "Body"})


@command(queues, "ack", examples=["holdfast queues ack jobs 1f0c9a3b-17-42"])
@click.argument("queue_name", metavar="QUEUE")
@click.argument("receipt")
def ack(terminal: Terminal, queue_name: str, receipt: str) -> None:
    """Acknowledge a message: its work is done, it is forgotten."""
    with terminal.open().existing_queue(queue_name) as queue:
        queue.ack(receipt)
    terminal.emit({"queue": queue_name, "acknowledged": receipt}, "Acknowledged.")


@command(
    queues,
    "nack",
    examples=["holdfast queues nack jobs 1f0c9a3b-17-42 --delay 60 --reason 'the API is down'"],
)
@click.argument("queue_name", metavar="QUEUE")
@click.argument("receipt")
@click.option("--delay", type=float, default=0.0, metavar="S", help="Not again before S seconds.")
@click.option("--reason", help="Why; kept with the message.")
def nack(
    terminal: Terminal, queue_name: str, receipt: str, delay: float, reason: str | None
) -> None:
    """Give a message back; after its last attempt it is a dead letter."""
    with terminal.open().existing_queue(queue_name) as queue:
        queue.nack(receipt, delay=delay, reason=reason)
    terminal.emit({"queue": queue_name, "givenBack": receipt}, "Given back.")


@command(queues, "peek", examples=["holdfast queues peek jobs --max 20"])
@click.argument("queue_name", metavar="QUEUE")
@click.option("--max", "limit", type=click.IntRange(1), default=10, help="How many at most.")
def peek(terminal: Terminal, queue_name: str, limit: int) -> None:
    """Show the next messages without taking them."""
    with terminal.open().existing_queue(queue_name) as queue:
        _show(terminal, [message.as_dict() for message in queue.peek(limit)], _COLUMNS)


@command(queues, "dead", examples=["holdfast queues dead jobs"])
@click.argument("queue_name", metavar="QUEUE")
@click.option("--max", "limit", type=click.IntRange(1), default=100, help="How many at most.")
def dead(terminal: Terminal, queue_name: str, limit: int) -> None:
    """Show the dead letters and why they died."""
    with terminal.open().existing_queue(queue_name) as queue:
        _show(terminal, [message.as_dict() for message in queue.dead(limit)], _COLUMNS)


@command(
    queues,
    "requeue",
    examples=["holdfast queues requeue jobs", "holdfast queues requeue jobs 1f0c9a3b-17"],
)
@click.argument("queue_name", metavar="QUEUE")
@click.argument("ids", metavar="[ID]...", nargs=-1)
def requeue(terminal: Terminal, queue_name: str, ids: tuple[str, ...]) -> None:
    """Make dead letters ready again: all of them, or those named."""
    with terminal.open().existing_queue(queue_name) as queue:
        count = queue.requeue_dead(ids or None)
    terminal.emit({"queue": queue_name, "requeued": count}, f"{count} message(s) ready again.")


@command(
    queues, "pause", examples=["holdfast queues pause jobs", "holdfast queues pause jobs --off"]
)
@click.argument("queue_name", metavar="QUEUE")
@click.option("--off", is_flag=True, help="Go on giving messages out.")
def pause(terminal: Terminal, queue_name: str, off: bool) -> None:
    """Give out no messages, in any process, until --off."""
    with terminal.open().existing_queue(queue_name) as queue:
        (queue.resume if off else queue.pause)()
    terminal.emit({"queue": queue_name, "paused": not off}, "Resumed." if off else "Paused.")


@command(queues, "purge", examples=["holdfast queues purge jobs --dry-run"])
@click.argument("queue_name", metavar="QUEUE")
@click.option("--dry-run", is_flag=True, help="Show what would go, forget nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(terminal: Terminal, queue_name: str, dry_run: bool, yes: bool) -> None:
    """Empty a queue. Its messages go to quarantine as JSON Lines; `undo` puts them again."""
    workspace = terminal.open()
    with workspace.existing_queue(queue_name) as queue:
        stats = queue.stats()
        count = stats.ready + stats.delayed + stats.leased + stats.dead
        facts: dict[str, Any] = {"queue": queue_name, "dryRun": dry_run, "messages": count}
        if dry_run or not count:
            terminal.emit(facts, f"{count} message(s) would go.")
            return
        question = f"Empty the queue {queue_name} of {count} message(s)?"
        terminal.require_consent(question, yes=yes, hint="look first with --dry-run, then --yes")
        entry, count = purge_queue(workspace, queue)
    facts.update(messages=count, quarantine=entry.id)
    terminal.emit(facts, f"{count} message(s) went to quarantine as {entry.id}")


add_topic_commands(queues)


def _parse(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UsageError(
            f"the body is no JSON: {error}", hint="a text needs quotes of its own: '\"bees\"'"
        ) from error


def _show(terminal: Terminal, rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    if not terminal.json:
        rows = [{**row, "body": msgspec.json.encode(row["body"]).decode()} for row in rows]
    terminal.emit_rows(rows, columns, empty="There is no message.")
