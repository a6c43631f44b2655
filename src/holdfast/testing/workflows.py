"""The suite that every engine of workflow state passes; for pytest.

::

    class TestMyStore(WorkflowStoreConformance):
        @pytest.fixture
        def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
            return lambda: MyStore(tmp_path / "state")

Each call of the factory opens the same store once more. An engine whose content ends with the
store object sets ``reopens = False`` and the parts about a second opening are left out.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, TypeVar

import pytest

from holdfast.testing.moving import WorkflowMoveChecks
from holdfast.testing.report import absent
from holdfast.workflows.store import RunRow, WorkflowStore

Result = TypeVar("Result")
Factory = Callable[[], WorkflowStore]

# Any bytes go in and come out: no text, NULs, JSON, nothing.
BODIES = (b"", b"{}", b"\0", b"\xff\xfe\x00 no text", '{"naïve": "✓"}'.encode(), b"x" * 100_000)


def a_run(run_id: str = "run-1", **changes: Any) -> RunRow:
    """A new run of the workflow ``demo``, owned by ``me``."""
    return RunRow(run_id, "demo", "running", 1_000, b"{}", "me")._replace(**changes)


class WorkflowStoreConformance(WorkflowMoveChecks):
    """What `holdfast.workflows.store.WorkflowStore` promises, one test a promise."""

    conformance: ClassVar[str] = "workflows"
    reopens: ClassVar[bool] = True

    @pytest.fixture
    def factory(self) -> Factory:
        raise NotImplementedError("give the fixture `factory`")

    @pytest.fixture
    def store(self, factory: Factory) -> Iterator[WorkflowStore]:
        store = factory()
        yield store
        store.close()

    def test_a_run_is_read_as_it_was_created(self, store: WorkflowStore) -> None:
        for number, body in enumerate(BODIES):
            run = a_run(f"run-{number}", body=body)
            assert store.create_run(run) is None
            kept = store.read_run(run.id)
            assert kept is not None
            assert kept._replace(serial=0) == run

    def test_what_is_missing_is_none(self, store: WorkflowStore) -> None:
        assert store.read_run("none") is None
        assert list(store.read_steps("none", after=0, limit=10)) == []
        assert not store.claim_run("none", epoch=1, owner="me")
        assert not store.record_step("none", epoch=1, position=1, body=b"")
        assert not store.finish_run("none", epoch=1, status="failed", outcome=b"", finished=1)
        store.remove_owner("none")

    def test_a_taken_id_returns_the_run_that_has_it(self, store: WorkflowStore) -> None:
        store.create_run(a_run(body=b"first"))
        present = store.create_run(a_run(body=b"second", owner="other"))
        assert present is not None
        assert (present.body, present.owner) == (b"first", "me")
        assert store.read_run("run-1") == present

    def test_one_of_many_creators_wins(self, store: WorkflowStore) -> None:
        results = _at_once(8, lambda n: store.create_run(a_run(body=b"%d" % n)))
        assert sum(result is None for result in results) == 1
        assert len({result for result in results if result is not None}) == 1

    def test_steps_come_back_in_order_of_position(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        for position in (3, 1, 6, 2, 5, 4):
            body = BODIES[position - 1]
            assert store.record_step("run-1", epoch=1, position=position, body=body)
        steps = [tuple(step) for step in store.read_steps("run-1", after=0, limit=100)]
        assert steps == list(enumerate(BODIES, start=1))
        assert [at for at, _ in store.read_steps("run-1", after=2, limit=2)] == [3, 4]

    def test_a_step_is_recorded_once(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        done = _at_once(
            8, lambda n: store.record_step("run-1", epoch=1, position=1, body=b"%d" % n)
        )
        assert sum(done) == 1
        (kept,) = store.read_steps("run-1", after=0, limit=10)
        assert kept[1] == b"%d" % done.index(True)

    def test_many_threads_record_their_steps(self, store: WorkflowStore) -> None:
        for number in range(8):
            store.create_run(a_run(f"run-{number}"))

        def record(number: int) -> list[bool]:
            return [
                store.record_step(f"run-{number}", epoch=1, position=at, body=b"%d" % at)
                for at in range(1, 26)
            ]

        assert all(all(done) for done in _at_once(8, record))
        for number in range(8):
            steps = store.read_steps(f"run-{number}", after=0, limit=100)
            assert [tuple(step) for step in steps] == [(at, b"%d" % at) for at in range(1, 26)]

    def test_a_claim_shuts_out_the_owner_before(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        assert store.claim_run("run-1", epoch=1, owner="other")
        kept = store.read_run("run-1")
        assert kept is not None
        assert (kept.owner, kept.epoch) == ("other", 2)
        assert not store.claim_run("run-1", epoch=1, owner="me")
        assert not store.record_step("run-1", epoch=1, position=1, body=b"late")
        assert not store.finish_run("run-1", epoch=1, status="failed", outcome=b"", finished=2)
        assert store.record_step("run-1", epoch=2, position=1, body=b"in time")

    def test_one_of_many_claims_wins(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        won = _at_once(8, lambda n: store.claim_run("run-1", epoch=1, owner=f"owner-{n}"))
        assert sum(won) == 1
        kept = store.read_run("run-1")
        assert kept is not None
        assert kept.owner == f"owner-{won.index(True)}"

    def test_a_run_can_be_owned_by_nobody(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        assert store.claim_run("run-1", epoch=1, owner=None)
        kept = store.read_run("run-1")
        assert kept is not None
        assert kept.owner is None

    def test_a_finished_run_stays_as_it_is(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        outcome = b"\0 any bytes \xff"
        assert store.finish_run(
            "run-1", epoch=1, status="succeeded", outcome=outcome, finished=2_000
        )
        kept = store.read_run("run-1")
        assert kept is not None
        assert (kept.status, kept.outcome, kept.finished, kept.owner) == (
            "succeeded",
            outcome,
            2_000,
            None,
        )
        assert not store.finish_run("run-1", epoch=1, status="failed", outcome=b"", finished=3)
        assert not store.claim_run("run-1", epoch=1, owner="other")
        assert not store.record_step("run-1", epoch=1, position=1, body=b"")
        assert store.read_run("run-1") == kept

    def test_runs_are_listed_newest_first_in_pages(self, store: WorkflowStore) -> None:
        for number in range(7):
            store.create_run(a_run(f"run-{number}", name="odd" if number % 2 else "even"))
        store.finish_run("run-1", epoch=1, status="failed", outcome=b"", finished=5)

        def ids(**wanted: Any) -> list[str]:
            return [run.id for run in store.list_runs(**wanted)]

        assert ids() == [f"run-{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
        assert ids(name="odd") == ["run-5", "run-3", "run-1"]
        assert ids(status="failed") == ["run-1"]
        assert ids(name="odd", unfinished=True) == ["run-5", "run-3"]
        first = store.list_runs(limit=3)
        assert ids(before=first[-1].serial, limit=3) == ["run-3", "run-2", "run-1"]

    def test_runs_are_found_by_time_and_by_what_their_body_contains(
        self, store: WorkflowStore
    ) -> None:
        for number, body in enumerate((b'{"of":"bees"}', b'{"of":"ants"}', b'{"of":"bees"}')):
            store.create_run(a_run(f"run-{number}", created=1_000 + number, body=body))

        def ids(**wanted: Any) -> list[str]:
            return [run.id for run in store.list_runs(**wanted)]

        assert ids(since=1_001) == ["run-2", "run-1"]
        assert ids(until=1_002) == ["run-1", "run-0"]
        assert ids(containing=b"bees") == ["run-2", "run-0"]
        assert ids(containing=b"bees", limit=1) == ["run-2"]
        assert ids(containing=b"%") == []

    def test_ready_runs_are_those_that_nobody_owns_and_that_are_due(
        self, store: WorkflowStore
    ) -> None:
        store.create_run(a_run("owned"))
        store.create_run(a_run("low", owner=None, status="queued"))
        store.create_run(a_run("high", owner=None, status="queued", priority=5))
        store.create_run(a_run("later", owner=None, due=50))
        store.create_run(a_run("done"))
        store.finish_run("done", epoch=1, status="succeeded", outcome=b"", finished=2)

        def ids(now: int, limit: int = 10) -> list[str]:
            return [run.id for run in store.ready_runs(now=now, limit=limit)]

        assert ids(49) == ["high", "low"]
        assert ids(50) == ["high", "low", "later"]
        assert ids(50, limit=1) == ["high"]
        assert store.claim_run("high", epoch=1, owner="me")
        assert ids(49) == ["low"]

    def test_a_claim_sets_the_status_and_when_the_run_is_due(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        assert store.claim_run("run-1", epoch=1, owner=None, status="waiting", due=77)
        kept = store.read_run("run-1")
        assert kept is not None
        assert (kept.status, kept.due, kept.owner, kept.epoch) == ("waiting", 77, None, 2)
        assert store.claim_run("run-1", epoch=2, owner="other")
        kept = store.read_run("run-1")
        assert kept is not None
        assert (kept.status, kept.due) == ("running", None)

    def test_signals_are_kept_in_order_and_wake_the_run(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        assert store.claim_run("run-1", epoch=1, owner=None, status="waiting", due=10_000)
        assert store.ready_runs(now=5, limit=10) == []
        for body in BODIES:
            assert store.add_signal("run-1", body)
        assert [tuple(signal) for signal in store.read_signals("run-1", after=0)] == list(
            enumerate(BODIES, start=1)
        )
        assert [number for number, _ in store.read_signals("run-1", after=4)] == [5, 6]
        (ready,) = store.ready_runs(now=5, limit=10)
        assert (ready.id, ready.signals) == ("run-1", len(BODIES))
        assert not store.add_signal("none", b"")
        store.finish_run("run-1", epoch=2, status="failed", outcome=b"", finished=1)
        assert not store.add_signal("run-1", b"late")

    def test_a_run_is_not_parked_past_a_signal(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        store.add_signal("run-1", b"unseen")
        assert not store.claim_run("run-1", epoch=1, owner=None, due=99, signals=0)
        assert store.claim_run("run-1", epoch=1, owner=None, due=99, signals=1)

    def test_signals_and_a_claim_at_once_lose_nothing(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        sent = _at_once(
            8,
            lambda n: (
                store.add_signal("run-1", b"%d" % n)
                if n
                else store.claim_run("run-1", epoch=1, owner=None, due=99)
            ),
        )
        assert all(sent)
        signals = store.read_signals("run-1", after=0)
        assert [number for number, _ in signals] == [1, 2, 3, 4, 5, 6, 7]
        assert sorted(body for _, body in signals) == [b"%d" % n for n in range(1, 8)]

    def test_a_fork_begins_with_the_steps_before_it(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        for position in range(1, 5):
            store.record_step("run-1", epoch=1, position=position, body=b"%d" % position)
        store.add_signal("run-1", b"sent")
        store.save_blob("run-1", "d1", b"large")
        store.finish_run("run-1", epoch=1, status="failed", outcome=b"", finished=10)
        assert store.create_run(a_run("run-2"), fork=("run-1", 3)) is None
        taken = store.create_run(a_run("run-2", body=b"other"), fork=("run-1", 5))
        assert taken is not None
        steps = [tuple(step) for step in store.read_steps("run-2", after=0, limit=10)]
        assert steps == [(1, b"1"), (2, b"2")]
        assert [tuple(s) for s in store.read_signals("run-2", after=0)] == [(1, b"sent")]
        kept = store.read_run("run-2")
        assert kept is not None
        assert (kept.signals, kept.finished, kept.epoch) == (1, None, 1)
        assert store.record_step("run-2", epoch=1, position=3, body=b"anew")
        assert len(store.read_steps("run-1", after=0, limit=10)) == 4
        store.delete_runs(finished_before=99, limit=10)
        assert store.read_blob("d1") == b"large"

    def test_a_finished_run_is_reopened_without_some_steps(self, store: WorkflowStore) -> None:
        store.create_run(a_run())
        assert not store.reopen_run("run-1", epoch=1, status="queued", drop=[])
        for position in range(1, 5):
            store.record_step("run-1", epoch=1, position=position, body=b"%d" % position)
        store.finish_run("run-1", epoch=1, status="failed", outcome=b"no", finished=10)
        assert not store.reopen_run("run-1", epoch=2, status="queued", drop=[2])
        assert store.reopen_run("run-1", epoch=1, status="queued", drop=[2, 4, 9])
        kept = store.read_run("run-1")
        assert kept is not None
        assert kept[5:9] == (None, 2, None, None)
        assert [at for at, _ in store.read_steps("run-1", after=0, limit=10)] == [1, 3]
        assert [run.id for run in store.ready_runs(now=0, limit=9)] == ["run-1"]
        assert store.claim_run("run-1", epoch=2, owner="me")
        assert store.record_step("run-1", epoch=3, position=2, body=b"again")

    def test_blobs_are_kept_as_long_as_a_run_has_them(self, store: WorkflowStore) -> None:
        for number, digest in ((1, "d1"), (2, "d1"), (2, "d2")):
            store.create_run(a_run(f"run-{number}"))
            store.save_blob(f"run-{number}", digest, b"content of " + digest.encode())
            store.save_blob(f"run-{number}", digest, b"content of " + digest.encode())
        assert store.read_blob("d1") == b"content of d1"
        assert store.read_blob("d3") is None
        for number in (1, 2):
            run_id = f"run-{number}"
            assert store.record_step(run_id, epoch=1, position=1, body=b"d1")
            store.finish_run(run_id, epoch=1, status="failed", outcome=b"", finished=number)
        store.delete_runs(finished_before=2, limit=9)
        assert store.read_blob("d1") is not None
        store.delete_runs(finished_before=3, limit=9)
        assert (store.read_blob("d1"), store.read_blob("d2")) == (None, None)

    def test_runs_are_counted_by_status(self, store: WorkflowStore) -> None:
        assert dict(store.count_runs()) == {}
        for number in range(3):
            store.create_run(a_run(f"run-{number}"))
        store.finish_run("run-1", epoch=1, status="failed", outcome=b"", finished=5)
        assert dict(store.count_runs()) == {"running": 2, "failed": 1}

    def test_only_old_finished_runs_are_deleted(self, store: WorkflowStore) -> None:
        for number in range(4):
            store.create_run(a_run(f"run-{number}"))
            store.record_step(f"run-{number}", epoch=1, position=1, body=b"x")
        for number, finished in ((0, 10), (1, 20), (2, 30)):
            store.finish_run(
                f"run-{number}", epoch=1, status="succeeded", outcome=b"", finished=finished
            )
        assert store.delete_runs(finished_before=30, limit=1) == ["run-0"]
        assert store.delete_runs(finished_before=30, limit=10) == ["run-1"]
        assert store.delete_runs(finished_before=30, limit=10) == []
        assert store.read_run("run-0") is None
        assert list(store.read_steps("run-0", after=0, limit=10)) == []
        assert len(store.read_steps("run-2", after=0, limit=10)) == 1
        assert store.create_run(a_run("run-0")) is None
        assert list(store.read_steps("run-0", after=0, limit=10)) == []

    def test_runs_to_be_kept_are_not_deleted(self, store: WorkflowStore) -> None:
        for number in range(4):
            store.create_run(a_run(f"run-{number}"))
            store.finish_run(
                f"run-{number}", epoch=1, status="failed", outcome=b"", finished=number
            )
        keep = ["run-0", "run-2", "none"]
        assert store.delete_runs(finished_before=9, limit=1, keep=keep) == ["run-1"]
        assert store.delete_runs(finished_before=9, limit=9, keep=keep) == ["run-3"]
        assert [run.id for run in store.list_runs()] == ["run-2", "run-0"]

    def test_owners_are_kept_until_they_are_removed(self, store: WorkflowStore) -> None:
        store.save_owner("a", b"1")
        store.save_owner("b", b"\0\xff")
        store.save_owner("a", b"2")
        assert dict(store.read_owners()) == {"a": b"2", "b": b"\0\xff"}
        store.remove_owner("a")
        assert dict(store.read_owners()) == {"b": b"\0\xff"}

    def test_a_note_is_swapped_by_whoever_has_seen_it(self, store: WorkflowStore) -> None:
        assert store.read_note("n") is None
        assert not store.swap_note("n", b"other", b"1")
        assert store.swap_note("n", None, b"1")
        assert not store.swap_note("n", None, b"2")
        assert store.read_note("n") == b"1"
        assert store.swap_note("n", b"1", b'{"n":"\xc3\xa4"}')
        assert store.read_note("n") == b'{"n":"\xc3\xa4"}'
        won = _at_once(8, lambda n: store.swap_note("m", None, b"%d" % n))
        assert sum(won) == 1
        assert store.read_note("m") == b"%d" % won.index(True)

    def test_a_second_opening_sees_and_fences_the_first(self, factory: Factory) -> None:
        if not self.reopens:
            absent("persistence")
        first, second = factory(), factory()
        try:
            first.create_run(a_run())
            first.record_step("run-1", epoch=1, position=1, body=b"one")
            assert second.claim_run("run-1", epoch=1, owner="second")
            assert not first.record_step("run-1", epoch=1, position=2, body=b"late")
            assert second.record_step("run-1", epoch=2, position=2, body=b"two")
            steps = [tuple(step) for step in first.read_steps("run-1", after=0, limit=10)]
            assert steps == [(1, b"one"), (2, b"two")]
        finally:
            first.close()
            second.close()


def _at_once(count: int, call: Callable[[int], Result]) -> list[Result]:
    """`call(0)` … `call(count - 1)`, each in a thread, all let go together; their results."""
    barrier = threading.Barrier(count)

    def wait_and_call(number: int) -> Result:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(wait_and_call, range(count)))
