"""The conformance suite of event engines: an engine that passes it holds what Holdfast promises.

::

    class TestMyEngine(EventSuite):
        persistent = True

        def open_store(self, folder: Path) -> EventStore:
            return MyStore(folder)

    TestMyEngineMachine = event_machine(lambda folder: MyStore(folder), persistent=True)

Needs pytest; `holdfast.testing.event_machine` also needs hypothesis.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from holdfast.context import task
from holdfast.errors import (
    ConflictError,
    CorruptError,
    NewerFormatError,
    NotFoundError,
    UnreadableError,
    UsageError,
)
from holdfast.events import Event, EventLog, EventStore
from holdfast.events.store import Ringing
from holdfast.testing.moving import EventMoveChecks
from holdfast.testing.report import absent


class Deposited(msgspec.Struct):
    """The data of an event, for the suite."""

    amount: int
    currency: str = "EUR"


def add_up(total: int, event: Event) -> int:
    """A projection for the suite."""
    return total + int(event.data["amount"])


class EventSuite(EventMoveChecks):
    """What every engine must do. `open_store` opens the log that lives in `folder`.

    `persistent`: a log that was closed and opened again is the same one, and two stores opened on
    one folder are the same log. A store that is `holdfast.events.store.Ringing` is tried as such.
    """

    conformance: ClassVar[str] = "events"
    persistent: ClassVar[bool]

    def open_store(self, folder: Path) -> EventStore:
        """The store under test."""
        raise NotImplementedError

    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[EventLog]:
        with self.open_log(tmp_path) as log:
            yield log

    def open_log(self, folder: Path) -> EventLog:
        """A log of the store under test."""
        return EventLog(store=self.open_store(folder), clock=lambda: 1_763_874_000.25)

    def test_what_is_appended_is_read(self, log: EventLog) -> None:
        values: list[Any] = [{"a": [1, 2.5, None]}, "tëxt \n\0 😀", 3, [], True, None]
        for number, value in enumerate(values, start=1):
            assert log.append("s", "t", value, metadata={"n": number}) == (number, number)
        events = list(log.read("s"))
        assert [event.data for event in events] == values
        assert [event.version for event in events] == [1, 2, 3, 4, 5, 6]
        assert [event.metadata for event in events] == [{"n": n} for n in range(1, 7)]
        assert events[0].recorded_at == 1_763_874_000.25
        assert list(log.read()) == events

    def test_streams_have_versions_and_the_log_has_positions(self, log: EventLog) -> None:
        for number in range(6):
            log.append(f"s{number % 2}", "t", number)
        assert [(e.version, e.data) for e in log.read("s1")] == [(1, 1), (2, 3), (3, 5)]
        assert [(e.position, e.data) for e in log.read()] == [(n + 1, n) for n in range(6)]
        assert (log.version("s0"), log.version("s2"), log.position()) == (3, 0, 6)

    def test_an_empty_log(self, log: EventLog) -> None:
        assert list(log.read()) == []
        assert list(log.read("nothing")) == []
        assert list(log.streams()) == []
        assert log.position() == 0

    def test_an_expected_version(self, log: EventLog) -> None:
        log.append("s", "t", 1, expect="new")
        with pytest.raises(ConflictError, match="at version 1, not 0"):
            log.append("s", "t", 2, expect="new")
        with pytest.raises(ConflictError, match="at version 1, not 2"):
            log.append_many("s", [("t", 2), ("t", 3)], expect=2)
        with pytest.raises(ConflictError, match="at version 0, not 1"):
            log.append("other", "t", 2, expect=1)
        assert log.append("s", "t", 2, expect=1) == (2, 2)
        assert log.append("s", "t", 3, expect="any").version == 3
        with pytest.raises(UsageError):
            log.append("s", "t", 3, expect=-1)

    def test_a_batch_is_in_order(self, log: EventLog) -> None:
        log.append("other", "t")
        assert log.append_many("s", [("t", n) for n in range(2500)]) == (2500, 2501)
        assert [event.data for event in log.read("s")] == list(range(2500))
        assert [event.position for event in log.read("s")] == list(range(2, 2502))
        assert log.append_many("s", [("t", "last")], expect=2500) == (2501, 2502)

    def test_a_batch_is_all_or_nothing(self, log: EventLog) -> None:
        with pytest.raises(UsageError):
            log.append_many("s", [("t", 1), ("t", object())])
        with pytest.raises(UsageError):
            log.append_many("s", [])
        assert log.position() == 0

    def test_a_key_makes_an_append_repeatable(self, log: EventLog) -> None:
        first = log.append("s", "t", 1, key="request-1")
        log.append("s", "t", 2)
        assert log.append("s", "t", "again", key="request-1", expect=0) == first
        assert log.append("other", "t", 3, key="request-1").position == 3
        assert log.append("s", "t", 4).position == 4
        assert [event.data for event in log.read()] == [1, 2, 3, 4]

    def test_reading_from_limited_and_by_type(self, log: EventLog) -> None:
        for number in range(1, 10):
            log.append(f"s{number % 2}", "even" if number % 2 == 0 else "odd", number)
        assert [event.data for event in log.read(from_=8)] == [8, 9]
        assert [event.data for event in log.read(from_=3, limit=2)] == [3, 4]
        assert [event.data for event in log.read("s1", from_=4)] == [7, 9]
        assert [event.data for event in log.read(types=["even"], limit=3)] == [2, 4, 6]
        assert [event.data for event in log.read("s1", types=["even"])] == []
        assert list(log.read(limit=0)) == []
        with pytest.raises(UsageError, match="as a list"):
            log.read(types="even")

    def test_streams_are_listed_by_name(self, log: EventLog) -> None:
        for name in ("b", "a-2", "a-1", "ü", "a-10", "a%"):
            log.append_many(name, [("t", 1), ("t", 2)])
        assert list(log.streams("a-")) == [("a-1", 2), ("a-10", 2), ("a-2", 2)]
        assert [name for name, _ in log.streams()] == ["a%", "a-1", "a-10", "a-2", "b", "ü"]

    def test_names_that_are_refused(self, log: EventLog) -> None:
        for name in ("", "a\nb", "a\0", "x" * 256):
            with pytest.raises(UsageError):
                log.append(name, "t")
            with pytest.raises(UsageError):
                log.append("s", name)
        log.append("ü" * 255, "ß" * 255, key="é" * 255)
        assert log.version("ü" * 255) == 1

    def test_the_task_is_recorded(self, log: EventLog) -> None:
        with task("run-1:step-2"):
            log.append("s", "t")
        log.append("s", "t")
        assert [event.task_id for event in log.read()] == ["run-1:step-2", None]

    def test_typed_data(self, log: EventLog) -> None:
        log.append("s", "deposited", Deposited(5))
        log.append("s", "deposited", {"amount": "much"})
        good, bad = log.read("s")
        assert good.data_as(Deposited) == Deposited(5, "EUR")
        with pytest.raises(UnreadableError, match="event 2"):
            bad.data_as(Deposited)

    def test_old_data_is_brought_up_to_date(self, log: EventLog) -> None:
        log.append("s", "deposited", 5)

        @log.upcaster("deposited", 1)
        def named(data: Any) -> Any:
            return {"amount": data}

        log.append("s", "deposited", {"amount": 6})

        @log.upcaster("deposited", 2)
        def with_currency(data: Any) -> Any:
            return {**data, "currency": "EUR"}

        log.append("s", "deposited", {"amount": 7, "currency": "CHF"})
        assert [tuple(event.data.values()) for event in log.read("s")] == [
            (5, "EUR"),
            (6, "EUR"),
            (7, "CHF"),
        ]
        with pytest.raises(UsageError, match="from version 3, not 2"):
            log.upcaster("deposited", 2)(with_currency)

    def test_newer_data_is_refused(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        with EventLog(store=store) as newer:
            newer.upcaster("t", 1)(lambda data: data)
            newer.append("s", "t", 1)
            with pytest.raises(NewerFormatError, match="version 2; this program knows 1"):
                list(EventLog(store=store).read())

    def test_a_subscription_goes_on_where_it_was(self, log: EventLog) -> None:
        log.append_many("s", [("t", n) for n in range(5)])
        assert [event.data for event in log.subscribe("a", wait=0)] == [0, 1, 2, 3, 4]
        assert log.subscriptions() == {"a": 5}
        log.append("s", "t", 5)
        assert [event.data for event in log.subscribe("a", wait=0)] == [5]
        assert len(list(log.subscribe("b", wait=0))) == 6

    def test_what_was_not_handled_comes_again(self, log: EventLog) -> None:
        log.append_many("s", [("t", n) for n in range(5)])

        def handle() -> None:
            for event in log.subscribe("a", wait=0):
                if event.data == 2:
                    raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            handle()
        assert log.subscriptions() == {"a": 2}
        assert [event.data for event in log.subscribe("a", wait=0)] == [2, 3, 4]

    def test_a_subscription_to_types_passes_over_the_others(self, log: EventLog) -> None:
        log.append_many("s", [("x" if n % 10 else "y", n) for n in range(2000)])
        seen = [event.data for event in log.subscribe("a", types=["y"], wait=0)]
        assert seen == list(range(0, 2000, 10))
        assert log.subscriptions() == {"a": 2000}

    def test_two_readers_of_one_subscription_conflict(self, log: EventLog) -> None:
        log.append_many("s", [("t", n) for n in range(3)])
        slow = log.subscribe("a", wait=0, batch=1)
        assert next(slow).data == 0
        assert len(list(log.subscribe("a", wait=0))) == 3
        with pytest.raises(ConflictError, match="another process"):
            next(slow)

    def test_following_is_live(self, log: EventLog) -> None:
        log.append("s", "t", 0)
        seen: list[Any] = []
        follower = threading.Thread(
            target=lambda: seen.extend(
                event.data for event in log.follow(stop=lambda: len(seen) == 21)
            )
        )
        follower.start()
        for number in range(1, 21):
            log.append("s" if number % 2 else "r", "t", number)
        log.append("s", "t", "end")
        for event in log.follow("s", wait=0):
            assert event.stream == "s"
        follower.join(0.2)
        log.append("s", "t", "more")
        follower.join(30)
        assert not follower.is_alive()

    def test_an_engine_that_tells_of_appends_does_so(self, tmp_path: Path) -> None:
        store = self.open_store(tmp_path)
        with EventLog(store=store) as log:
            if not isinstance(store, Ringing):
                absent("telling of appends")
            bell = store.bell()
            bell.wait(0.01)  # from here on it listens
            log.append("s", "t", 1)
            bell.wait(300)
            log.append_many("s", [("t", 2), ("t", 3)])
            bell.wait(300)
            bell.close()

    def test_a_projection_keeps_its_state(self, log: EventLog) -> None:
        log.append("a", "deposited", {"amount": 5})
        log.append("b", "noise")
        total = log.projection("total", add_up, initial=int, types=["deposited"], type=int)
        assert total.state == 0
        assert total.update() == 5
        log.append("b", "deposited", {"amount": 6})
        again = log.projection("total", add_up, initial=int, types=["deposited"], type=int)
        assert (again.state, again.position) == (5, 2)
        assert again.update() == 11
        assert again.update() == 11
        assert log.projections() == {"total": 3}

    def test_a_projection_is_computed_anew(self, log: EventLog) -> None:
        for number in range(10):
            log.append("a", "deposited", {"amount": number})
        assert log.projection("p", add_up, initial=int).update() == 45

        def count(total: int, event: Event) -> int:
            return total + 1

        changed = log.projection("p", count, initial=int)
        assert changed.update() == 45
        assert changed.rebuild() == 10
        newer = log.projection("p", add_up, initial=int, version=2)
        assert newer.update() == 45
        assert newer.state == 45
        with pytest.raises(NewerFormatError):
            changed.update()
        with pytest.raises(CorruptError, match="raise its version"):
            _ = log.projection("p", add_up, type=list[int], version=2).state

    def test_threads_update_one_projection(self, log: EventLog) -> None:
        def work() -> None:
            projection = log.projection("p", add_up, initial=int)
            for _ in range(20):
                log.append("a", "deposited", {"amount": 1})
                projection.update()

        run_together(4, work)
        assert log.projection("p", add_up, initial=int).update() == 80

    def test_an_aggregate_and_its_snapshots(self, log: EventLog) -> None:
        applied: list[int] = []

        def apply(total: int, event: Event) -> int:
            applied.append(event.version)
            return add_up(total, event)

        for number in range(1, 6):
            log.append("a", "deposited", {"amount": number})
        kept: dict[str, Any] = {"initial": int, "type": int, "snapshot_every": 5}
        assert log.aggregate("a", apply, **kept) == (15, 5)
        log.append("a", "deposited", {"amount": 6}, expect=5)
        assert log.aggregate("a", apply, **kept) == (21, 6)
        assert applied == [1, 2, 3, 4, 5, 6]
        assert log.aggregate("a", apply, initial=int) == (21, 6)
        assert log.aggregate("a", apply, **kept, version=2) == (21, 6)
        assert log.aggregate("nothing", apply, **kept) == (0, 0)

    def test_archiving_and_putting_back(self, log: EventLog, tmp_path: Path) -> None:
        for number in range(6):
            log.append(f"s{number % 2}", "t", number, key=f"k{number}")
        before = list(log.read())
        archive = log.archive("s1", tmp_path / "deep" / "s1.jsonl")
        assert (archive.version, archive.path.name) == (3, "s1.jsonl")
        assert [event.data for event in log.read()] == [0, 2, 4]
        assert list(log.read("s1")) == []
        assert list(log.read("s1", archived=True)) == [before[1], before[3], before[5]]
        assert [event.data for event in log.read("s1", from_=2, limit=1, archived=True)] == [3]
        assert [name for name, _ in log.streams()] == ["s0"]
        assert log.archives() == [archive]
        assert log.version("s1") == 3
        with pytest.raises(ConflictError, match="is archived"):
            log.append("s1", "t")
        with pytest.raises(ConflictError, match="is archived"):
            log.append_many("s1", [("t", 1), ("t", 2)])
        assert log.append("s2", "t", 6).position == 7
        assert log.unarchive("s1") == 3
        assert list(log.read())[:6] == before
        assert log.append("s1", "t", "again", key="k3").version == 2
        assert log.append("s1", "t", 7, expect=3).version == 4
        with pytest.raises(NotFoundError):
            log.unarchive("s1")

    def test_positions_are_not_given_out_twice(self, log: EventLog, tmp_path: Path) -> None:
        log.append("a", "t")
        log.append("b", "t")
        log.archive("b", tmp_path / "b.jsonl")
        assert log.append("c", "t").position == 3
        log.unarchive("b")
        assert [event.position for event in log.read()] == [1, 2, 3]

    def test_an_archive_never_replaces_a_file(self, log: EventLog, tmp_path: Path) -> None:
        log.append("a", "t")
        (tmp_path / "a.jsonl").write_bytes(b"mine")
        with pytest.raises(ConflictError, match="exists already"):
            log.archive("a", tmp_path / "a.jsonl")
        with pytest.raises(NotFoundError):
            log.archive("nothing", tmp_path / "b.jsonl")
        assert (tmp_path / "a.jsonl").read_bytes() == b"mine"
        assert log.version("a") == 1

    def test_a_damaged_archive_is_no_empty_stream(self, log: EventLog, tmp_path: Path) -> None:
        path = tmp_path / "a.jsonl"
        log.append_many("a", [("t", 1), ("t", 2)])
        log.archive("a", path)
        whole = path.read_bytes()
        lines = whole.splitlines(keepends=True)
        for damaged in (b"", lines[0], b"".join(lines[:2]), whole.replace(b'"t"', b'"u"', 1)):
            path.write_bytes(damaged)
            with pytest.raises(CorruptError):
                list(log.read("a", archived=True))
            with pytest.raises(CorruptError):
                log.unarchive("a")
        path.write_bytes(whole)
        assert log.unarchive("a") == 2

    def test_writers_together_and_no_reader_misses_an_event(self, log: EventLog) -> None:
        seen: list[tuple[int, int]] = []
        ended = threading.Event()

        def read() -> None:
            after = 0
            while True:
                last = ended.is_set()
                for event in log.read(from_=after + 1):
                    seen.append((event.position, event.data))
                    after = event.position
                if last:
                    return

        reader = threading.Thread(target=read)
        reader.start()
        numbers = iter(range(400))
        lock = threading.Lock()

        def write() -> None:
            for _ in range(50):
                with lock:
                    number = next(numbers)
                log.append(f"s{number % 3}", "t", number)

        run_together(8, write)
        ended.set()
        reader.join()
        assert [position for position, _ in seen] == list(range(1, 401))
        assert sorted(number for _, number in seen) == list(range(400))

    def test_of_writers_that_expect_one_version_one_wins(self, log: EventLog) -> None:
        won: list[int] = []

        def write() -> None:
            for version in range(20):
                try:
                    log.append("s", "t", version, expect=version)
                except ConflictError:
                    continue
                won.append(version)

        run_together(4, write)
        assert len(won) == len(set(won)) == log.version("s")

    def test_two_handles_are_one_log_and_so_is_one_opened_again(self, tmp_path: Path) -> None:
        if not self.persistent:
            absent("persistence")
        with self.open_log(tmp_path) as one, self.open_log(tmp_path) as two:
            one.append("s", "t", 1)
            assert two.append("s", "t", 2, expect=1).version == 2
            assert [event.data for event in one.read()] == [1, 2]
            list(one.subscribe("a", wait=0))
            one.projection("p", add_up, initial=int, types=["none"]).rebuild()
            two.append("b", "t")
            two.archive("b", tmp_path / "b.jsonl")
        with self.open_log(tmp_path) as log:
            assert [event.data for event in log.read()] == [1, 2]
            assert log.subscriptions() == {"a": 2}
            assert [archive.stream for archive in log.archives()] == ["b"]
            assert log.append("s", "t").position == 4


def run_together(count: int, work: Any) -> None:
    """Run `work` in so many threads; an error of any of them is raised."""
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
