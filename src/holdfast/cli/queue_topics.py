"""The commands of ``holdfast queues`` about topics: subscribe, replay, retain, unsubscribe."""

import click
import msgspec

from holdfast.cli.terminal import Terminal, command
from holdfast.errors import NotFoundError, UsageError
from holdfast.logs.times import parse_time
from holdfast.queues import Retention, Subscription, Topic
from holdfast.queues.retention import Start

_START = "all, new, a position (after it), or a moment: 2h, yesterday, 2026-11-23T10:30"
_LOOK_FIRST = "look first with --dry-run, then --yes"


def add_topic_commands(queues: click.Group) -> None:
    """Give the group its commands about topics."""
    _add_subscribe(queues)
    _add_replay(queues)
    _add_retain(queues)
    _add_unsubscribe(queues)


def _add_subscribe(queues: click.Group) -> None:
    @command(
        queues,
        "subscribe",
        examples=[
            "holdfast queues subscribe orders billing",
            "holdfast queues subscribe orders audit --start new",
            "holdfast queues take orders@billing",
        ],
    )
    @click.argument("topic_name", metavar="TOPIC")
    @click.argument("name")
    @click.option("--start", default="all", show_default=True, metavar="PLACE", help=_START)
    def subscribe(terminal: Terminal, topic_name: str, name: str, start: str) -> None:
        """Make a subscription: it gets every message that is put to TOPIC, made if it is new.

        All other commands take it as the queue TOPIC@NAME.
        """
        with terminal.open().topic(topic_name).subscribe(name, start=_parse(start)) as one:
            status = one.status()
            document = {"subscription": one.name, **msgspec.to_builtins(status)}
            text = f"{one.name} goes on after {status.position}; {status.lag} message(s) to come."
            terminal.emit(document, text)


def _add_replay(queues: click.Group) -> None:
    @command(
        queues,
        "replay",
        examples=[
            "holdfast queues replay orders@billing --from all",
            "holdfast queues replay orders@billing --from 2026-11-23T10:30 --yes",
            "holdfast queues replay orders@billing --from 1700 --dry-run",
        ],
    )
    @click.argument("subscription", metavar="TOPIC@NAME")
    @click.option("--from", "start", required=True, metavar="PLACE", help=_START)
    @click.option("--dry-run", is_flag=True, help="Show what would come again, change nothing.")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def replay(terminal: Terminal, subscription: str, start: str, dry_run: bool, yes: bool) -> None:
        """Have a subscription get messages again, from a place in the topic's log on.

        What came from beyond that place and is in its hands, or dead, comes again as well.
        """
        with _subscription(terminal, subscription) as one:
            position = one.place_of(_parse(start))
            count = max(0, one.last() - position)
            document = {
                "subscription": subscription,
                "position": position,
                "messages": count,
                "dryRun": dry_run,
            }
            if dry_run:
                terminal.emit(document, f"{count} message(s) after {position} would come again.")
                return
            question = f"Give {subscription} all {count} message(s) after {position} (again)?"
            terminal.require_consent(
                question, yes=yes, hint="look first with --dry-run, then --yes"
            )
            one.replay(position)
            terminal.emit(document, f"{count} message(s) after {position} come (again).")


def _add_retain(queues: click.Group) -> None:
    @command(
        queues,
        "retain",
        examples=[
            "holdfast queues retain orders --seconds 86400",
            "holdfast queues retain orders --count 100000",
            "holdfast queues retain orders --forever",
        ],
    )
    @click.argument("topic_name", metavar="TOPIC")
    @click.option("--seconds", type=float, metavar="S", help="What was put in the last S seconds.")
    @click.option("--count", type=click.IntRange(0), help="The last so many messages.")
    @click.option("--forever", is_flag=True, help="Everything.")
    def retain(
        terminal: Terminal,
        topic_name: str,
        seconds: float | None,
        count: int | None,
        forever: bool,
    ) -> None:
        """Say how much of a topic's log is kept for replays and new subscriptions.

        What a subscription has yet to get is kept in any case.
        """
        if forever == (seconds is not None or count is not None):
            raise UsageError("say --seconds, --count or both, or --forever")
        kept = Retention(seconds, count)
        _topic(terminal, topic_name)
        terminal.open().topic(topic_name, retain=kept)
        terminal.emit({"topic": topic_name, "retain": msgspec.to_builtins(kept)}, "Noted.")


def _add_unsubscribe(queues: click.Group) -> None:
    @command(queues, "unsubscribe", examples=["holdfast queues unsubscribe orders@audit --yes"])
    @click.argument("subscription", metavar="TOPIC@NAME")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    def unsubscribe(terminal: Terminal, subscription: str, yes: bool) -> None:
        """Forget a subscription and what it has not done with. The topic's log stays."""
        with _subscription(terminal, subscription) as one:
            lag = one.status().lag
        question = f"Forget {subscription}, which has {lag} message(s) to do?"
        terminal.require_consent(question, yes=yes, hint="pass --yes")
        topic, _, name = subscription.partition("@")
        terminal.open().topic(topic).unsubscribe(name)
        terminal.emit({"subscription": subscription, "lag": lag}, "Forgotten.")


def _topic(terminal: Terminal, name: str) -> Topic:
    workspace = terminal.open()
    if name not in workspace.topic_names():
        raise NotFoundError(
            f"there is no topic {name!r}", hint=f"holdfast queues subscribe {name} NAME makes it"
        )
    return workspace.topic(name)


def _subscription(terminal: Terminal, text: str) -> Subscription:
    topic, at, name = text.partition("@")
    if not at:
        raise UsageError(f"{text!r} names no subscription", hint="write TOPIC@NAME")
    return _topic(terminal, topic).subscription(name)


def _parse(text: str) -> Start:
    if text in ("all", "new"):
        return text
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return parse_time(text)
    except UsageError as error:
        raise UsageError(f"{text!r} is no place in a topic", hint=f"use {_START}") from error
