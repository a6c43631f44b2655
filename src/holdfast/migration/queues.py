"""Queues and topics from one engine to another: messages, leases that ran out, logs, cursors."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import Any, NamedTuple

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.engines.urls import parse_url
from holdfast.errors import RefusedError, UsageError
from holdfast.migration.content import Content, Tally
from holdfast.migration.room import as_sure_as_can_be, differs
from holdfast.queues.opening import list_queues, list_topics, open_store, open_topic_store
from holdfast.queues.store import (
    LogEntry,
    MovableStore,
    MovableTopicStore,
    MovedMessage,
    QueueStore,
    TopicStore,
)

_PAGE = 1000  # entries of a log a read
_LOOK = 0.2  # seconds between two looks at what is leased


class QueueMover:
    """See `holdfast.migration.room.Mover`. What is held is named as a queue is: ``jobs``, or
    ``topic@subscription``."""

    engines = ("file", "sqlite", "redis", "rediss", "postgresql")

    def refuse_live(self, source: str, wait: float) -> None:
        end = time.monotonic() + wait
        while out := _leased(source):
            if time.monotonic() >= end:
                what = ", ".join(f"{count} of {name}" for name, count in out.items())
                raise RefusedError(
                    f"messages are out: {what}",
                    hint="stop the consumers, or give them time with --wait SECONDS",
                )
            time.sleep(_LOOK)

    def pauses(self, source: str) -> dict[str, bool]:
        now = time.time()
        return {name: store.stats(now).paused for name, store in _each_queue(source)}

    def hold(self, source: str, held: Mapping[str, bool]) -> None:
        for name, store in _each_queue(source):
            if name in held:
                store.pause(held[name])
                fault_point("migration.queues.held")

    def names(self, url: str) -> list[str] | None:
        return sorted({*list_queues(url), *list_topics(url)})

    def measure(self, url: str, names: list[str] | None, tally: Tally, now: float) -> Content:
        queues, topics = list_queues(url), list_topics(url)
        for name in names or ():
            if name in queues:
                with closing(open_store(url, name, "process")) as queue:
                    _add_queue(tally, name, queue, now)
            elif name in topics:
                with closing(open_topic_store(url, name, "process")) as topic:
                    _add_topic(tally, name, topic, now)
        return tally.content()

    def copy(
        self, source: str, target: str, held: Mapping[str, bool], tally: Tally, now: float
    ) -> None:
        for name in list_queues(source):
            if name in list_topics(target):
                raise differs(f"a topic {name!r}", target)
            with (
                closing(open_store(source, name, "process")) as old,
                closing(_open_target(target, name)) as new,
            ):
                take_over = partial(
                    _movable(new, MovableStore, target).take_over, paused=held.get(name, False)
                )
                tally.add("queues", name)
                _copy_messages(old, new, take_over, _Job(name, target, tally, now))
        for name in list_topics(source):
            with (
                closing(open_topic_store(source, name, "process")) as log,
                closing(_open_target_topic(target, name)) as copied,
            ):
                _copy_topic(log, copied, held, _Job(name, target, tally, now))


class _Job(NamedTuple):
    """What is copied, a queue or a topic: its name, where to, who adds up, since when."""

    name: str
    target: str
    tally: Tally
    now: float


def _open_target(target: str, name: str) -> QueueStore:
    return as_sure_as_can_be(lambda sure: open_store(target, name, sure))


def _open_target_topic(target: str, name: str) -> TopicStore:
    return as_sure_as_can_be(lambda sure: open_topic_store(target, name, sure))


def _copy_messages(
    old: QueueStore,
    new: QueueStore | None,
    take_over: Callable[[Iterator[MovedMessage]], bool],
    job: _Job,
) -> None:
    """Where the messages cannot be taken over, `new` has to hold the same already."""
    name, target, tally, now = job
    if not take_over(_messages(old, name, tally, now)):
        ours, theirs = Tally(), Tally()
        for store, sums in ((old, ours), (new, theirs)):
            if store is not None:
                for _ in _messages(store, name, sums, now):
                    pass
        if ours.content() != theirs.content():
            raise differs(f"another queue {name!r}", target)
    fault_point("migration.queues.queue")


def _copy_topic(old: TopicStore, new: TopicStore, held: Mapping[str, bool], job: _Job) -> None:
    into = _movable(new, MovableTopicStore, job.target)
    before = old.bounds()[0]
    if new.bounds()[1] == 0:
        into.put_entries((), before)
    elif new.bounds()[0] != before:
        raise differs(f"another topic {job.name!r}", job.target)
    settings = old.settings()
    if settings is not None and new.settings() is None:
        new.keep_settings(settings)
    job.tally.add("topics", job.name)
    _copy_entries(old, new, into, job)
    for name, position in old.cursors().items():
        _copy_subscription(old, new, name, position, held, job)


def _copy_entries(old: TopicStore, new: TopicStore, into: MovableTopicStore, job: _Job) -> None:
    for page in _pages(old):
        there = new.read_after(page[0].position - 1, len(page))
        same = list(map(_entry, there)) == list(map(_entry, page[: len(there)]))
        rest = page[len(there) :]
        if not same or (rest and not into.put_entries(rest, rest[0].position - 1)):
            raise differs(f"another log of topic {job.name!r}", job.target)
        fault_point("migration.queues.entries")
        for entry in page:
            job.tally.add("entries", *_entry(entry))


def _copy_subscription(
    old: TopicStore,
    new: TopicStore,
    name: str,
    position: int,
    held: Mapping[str, bool],
    job: _Job,
) -> None:
    full = f"{job.name}@{name}"
    if new.cursors().get(name, position) != position:
        raise differs(f"another subscription {full}", job.target)
    into = _movable(new, MovableTopicStore, job.target)
    take_over = partial(into.take_over, name, position, paused=held.get(full, False))
    with ExitStack() as stack:
        messages = stack.enter_context(closing(old.subscription(name)))
        there = None
        if name in new.cursors():
            there = stack.enter_context(closing(new.subscription(name)))
        _copy_messages(messages, there, take_over, job._replace(name=full))


def _add_queue(tally: Tally, name: str, store: QueueStore, now: float) -> None:
    tally.add("queues", name)
    for _ in _messages(store, name, tally, now):
        pass


def _add_topic(tally: Tally, name: str, topic: TopicStore, now: float) -> None:
    tally.add("topics", name, *topic.bounds(), _settings(topic))
    for page in _pages(topic):
        for entry in page:
            tally.add("entries", *_entry(entry))
    for each, position in topic.cursors().items():
        tally.add("subscriptions", each, position)
        with closing(topic.subscription(each)) as store:
            for _ in _messages(store, f"{name}@{each}", tally, now):
                pass


def _messages(store: QueueStore, name: str, tally: Tally, now: float) -> Iterator[MovedMessage]:
    """The messages, added up as they pass. Raises `RefusedError` for one that is out."""
    for one in _movable(store, MovableStore, name).export(now):
        if one.place == "leased":
            raise RefusedError(
                f"the message {one.id} of {name} is out",
                hint="stop the consumers and run the same command again",
            )
        facts: list[Any] = [one.id, one.payload, _microseconds(one.at), one.place, one.priority]
        facts += [one.due, one.key, one.group, one.position, one.attempts, one.lapsed]
        tally.add("messages", *facts, one.reason, one.died)
        yield one


def _entry(entry: LogEntry) -> tuple[int, str, bytes]:
    return entry.position, _microseconds(entry.at), entry.payload


def _settings(topic: TopicStore) -> bytes | None:
    """The settings as the same JSON on every engine."""
    settings = topic.settings()
    if settings is None:
        return None
    return msgspec.json.encode(msgspec.json.decode(settings), order="deterministic")


def _pages(topic: TopicStore) -> Iterator[list[LogEntry]]:
    after = topic.bounds()[0]
    while page := topic.read_after(after, _PAGE):
        yield page
        after = page[-1].position


def _microseconds(seconds: float) -> str:
    """A time as exactly as every engine keeps it."""
    return f"{seconds:.6f}"


def _each_queue(url: str) -> Iterator[tuple[str, QueueStore]]:
    """Every queue of an engine, those of subscriptions too, opened one after the other."""
    for name in list_queues(url):
        with closing(open_store(url, name, "process")) as store:
            yield name, store
    for name in list_topics(url):
        with closing(open_topic_store(url, name, "process")) as topic:
            for each in topic.cursors():
                with closing(topic.subscription(each)) as queue:
                    yield f"{name}@{each}", queue


def _leased(url: str) -> dict[str, int]:
    now = time.time()
    counts = {name: store.stats(now).leased for name, store in _each_queue(url)}
    return {name: count for name, count in counts.items() if count}


def _movable(store: object, kind: type[Any], where: str) -> Any:
    if not isinstance(store, kind):
        place = parse_url(where) if "://" in where else where
        raise UsageError(f"{place} cannot be moved")
    return store
