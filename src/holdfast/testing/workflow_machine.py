"""A hypothesis state machine: an engine of workflow state against plain dictionaries.

::

    class MyMachine(WorkflowStoreMachine):
        def open(self) -> WorkflowStore:
            return MyStore(self.place)

        def fresh(self) -> None:
            self.place = new_folder()

    TestMyStore = MyMachine.TestCase

`fresh` makes the next `open` one of an empty store. An engine whose content ends with the store
object sets ``reopens = False``.
"""

from collections.abc import Sequence
from typing import ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.workflows.store import RunRow, WorkflowStore, is_ready, urgency

_RUNS = st.sampled_from(["a", "b", "c"])
_EPOCHS = st.integers(1, 4)
_OWNERS = st.sampled_from([None, "me", "other"])
_BODIES = st.binary(max_size=40)
_MOMENTS = st.one_of(st.none(), st.integers(1, 9))


class WorkflowStoreMachine(RuleBasedStateMachine):
    """What `holdfast.workflows.store.WorkflowStore` promises, under any sequence of calls."""

    reopens: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, RunRow] = {}
        self.steps: dict[str, dict[int, bytes]] = {}
        self.signals: dict[str, list[bytes]] = {}
        self.blobs: dict[str, set[str]] = {}
        self.notes: dict[str, bytes] = {}
        self.fresh()
        self.store = self.open()

    def fresh(self) -> None:
        """Make the next `open` one of an empty store."""

    def open(self) -> WorkflowStore:
        """The same store once more."""
        raise NotImplementedError("say how the store is opened")

    @rule(run=_RUNS, owner=_OWNERS, body=_BODIES, due=_MOMENTS, priority=st.integers(-2, 2))
    def create(
        self, run: str, owner: str | None, body: bytes, due: int | None, priority: int
    ) -> None:
        row = RunRow(run, "demo", "running", 1, body, owner, due=due, priority=priority)
        assert (self.store.create_run(row) is None) == (run not in self.runs)
        if run not in self.runs:
            self._begin(row, {}, [], set())

    @rule(run=_RUNS, source=_RUNS, end=st.integers(1, 6))
    def fork(self, run: str, source: str, end: int) -> None:
        row = RunRow(run, "demo", "queued", 1, b"fork")
        assert (self.store.create_run(row, fork=(source, end)) is None) == (run not in self.runs)
        if run not in self.runs:
            steps = {at: body for at, body in self.steps.get(source, {}).items() if at < end}
            blobs = set(self.blobs.get(source, ()))
            self._begin(row, steps, list(self.signals.get(source, [])), blobs)

    @rule(run=_RUNS, epoch=_EPOCHS, drop=st.lists(st.integers(1, 6), max_size=3))
    def reopen_run(self, run: str, epoch: int, drop: list[int]) -> None:
        row = self.runs.get(run)
        expected = row is not None and row.finished is not None and row.epoch == epoch
        done = self.store.reopen_run(run, epoch=epoch, status="queued", drop=drop)
        assert done == expected
        if row is not None and expected:
            self.runs[run] = row._replace(
                epoch=epoch + 1, status="queued", finished=None, outcome=None, due=None
            )
            for position in drop:
                self.steps[run].pop(position, None)

    @rule(run=_RUNS, body=_BODIES)
    def signal(self, run: str, body: bytes) -> None:
        row = self.runs.get(run)
        expected = row is not None and row.finished is None
        assert self.store.add_signal(run, body) == expected
        if row is not None and expected:
            self.signals[run].append(body)
            due = None if row.owner is None else row.due
            self.runs[run] = row._replace(signals=row.signals + 1, due=due)

    @rule(
        run=_RUNS,
        epoch=_EPOCHS,
        owner=_OWNERS,
        due=_MOMENTS,
        signals=st.one_of(st.none(), st.integers(0, 2)),
    )
    def claim(
        self, run: str, epoch: int, owner: str | None, due: int | None, signals: int | None
    ) -> None:
        seen = signals is None or (run in self.runs and self.runs[run].signals == signals)
        expected = self._held(run, epoch) and seen
        claimed = self.store.claim_run(run, epoch=epoch, owner=owner, due=due, signals=signals)
        assert claimed == expected
        if expected:
            self.runs[run] = self.runs[run]._replace(
                owner=owner, epoch=epoch + 1, status="running", due=due
            )

    @rule(run=_RUNS, epoch=_EPOCHS, position=st.integers(1, 6), body=_BODIES)
    def record(self, run: str, epoch: int, position: int, body: bytes) -> None:
        expected = self._held(run, epoch) and position not in self.steps[run]
        kept = self.store.record_step(run, epoch=epoch, position=position, body=body)
        assert kept == expected
        if expected:
            self.steps[run][position] = body

    @rule(run=_RUNS, digest=st.sampled_from(["d1", "d2"]))
    def keep_blob(self, run: str, digest: str) -> None:
        if run in self.runs and self.runs[run].finished is None:
            self.store.save_blob(run, digest, digest.encode())
            self.blobs[run].add(digest)

    @rule(run=_RUNS, epoch=_EPOCHS, outcome=_BODIES, finished=st.integers(1, 9))
    def finish(self, run: str, epoch: int, outcome: bytes, finished: int) -> None:
        expected = self._held(run, epoch)
        assert expected == self.store.finish_run(
            run, epoch=epoch, status="succeeded", outcome=outcome, finished=finished
        )
        if expected:
            self.runs[run] = self.runs[run]._replace(
                owner=None, status="succeeded", outcome=outcome, finished=finished
            )

    @rule(before=st.integers(1, 10))
    def delete(self, before: int) -> None:
        doomed = {run for run, row in self.runs.items() if row.finished and row.finished < before}
        assert set(self.store.delete_runs(finished_before=before, limit=9)) == doomed
        for run in doomed:
            del self.runs[run], self.steps[run], self.signals[run], self.blobs[run]

    @rule(name=st.sampled_from(["n", "m"]), known=st.booleans(), after=_BODIES)
    def swap(self, name: str, known: bool, after: bytes) -> None:
        present = self.notes.get(name)
        before = present if known else b"never stored by this test: " + bytes(50)
        assert self.store.swap_note(name, before, after) == known
        if known:
            self.notes[name] = after

    @rule()
    def reopen(self) -> None:
        if self.reopens:
            self.store.close()
            self.store = self.open()

    @invariant()
    def same_as_the_model(self) -> None:
        listed = self.store.list_runs()
        assert [row.id for row in listed] == list(reversed(self.runs))
        assert {row.id: row._replace(serial=0) for row in listed} == self.runs
        for run, steps in self.steps.items():
            kept: Sequence[tuple[int, bytes]] = self.store.read_steps(run, after=0, limit=99)
            assert [tuple(step) for step in kept] == sorted(steps.items())
            sent = [body for _, body in self.store.read_signals(run, after=0)]
            assert sent == self.signals[run]

    @invariant()
    def ready_runs_are_those_of_the_model(self) -> None:
        numbered = [row._replace(serial=at) for at, row in enumerate(self.runs.values())]
        ready = sorted((row for row in numbered if is_ready(row, 5)), key=urgency)
        assert [row.id for row in self.store.ready_runs(now=5, limit=9)] == [r.id for r in ready]

    @invariant()
    def blobs_and_notes_are_those_of_the_model(self) -> None:
        used = set().union(*self.blobs.values())
        for digest in ("d1", "d2"):
            kept = self.store.read_blob(digest)
            assert kept == digest.encode() if digest in used else True
        for name in ("n", "m"):
            assert self.store.read_note(name) == self.notes.get(name)

    def teardown(self) -> None:
        self.store.close()

    def _begin(
        self, row: RunRow, steps: dict[int, bytes], signals: list[bytes], blobs: set[str]
    ) -> None:
        self.runs[row.id] = row._replace(signals=len(signals))
        self.steps[row.id], self.signals[row.id], self.blobs[row.id] = steps, signals, blobs

    def _held(self, run: str, epoch: int) -> bool:
        row = self.runs.get(run)
        return row is not None and row.finished is None and row.epoch == epoch
