"""Every engine passes the published suite, and does what a dictionary does under any sequence."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from holdfast.engines.urls import parse_url
from holdfast.testing.workflows import WorkflowStoreConformance
from holdfast.workflows.store import RunRow, WorkflowStore
from holdfast.workflows.stores.json import JsonStore
from holdfast.workflows.stores.memory import MemoryStore
from holdfast.workflows.stores.postgres import PostgresStore
from holdfast.workflows.stores.redis import RedisStore
from holdfast.workflows.stores.sqlite import SqliteStore


class TestMemoryStore(WorkflowStoreConformance):
    reopens = False

    @pytest.fixture
    def factory(self) -> Callable[[], WorkflowStore]:
        return MemoryStore


class TestSqliteStore(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
        return lambda: SqliteStore(tmp_path / "state.db")


class TestJsonStore(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
        return lambda: JsonStore(tmp_path / "runs")


class TestJsonStoreForPower(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
        return lambda: JsonStore(tmp_path / "runs", durability="power")


class TestPostgresStore(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, postgres_url: str) -> Callable[[], WorkflowStore]:
        return lambda: PostgresStore(parse_url(postgres_url))


class TestRedisStore(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, redis_url: str) -> Callable[[], WorkflowStore]:
        return lambda: RedisStore(parse_url(redis_url))


class TestSqliteStoreForPower(WorkflowStoreConformance):
    @pytest.fixture
    def factory(self, tmp_path: Path) -> Callable[[], WorkflowStore]:
        return lambda: SqliteStore(tmp_path / "state.db", durability="power")


RUNS = st.sampled_from(["a", "b", "c"])
EPOCHS = st.integers(1, 4)
OWNERS = st.sampled_from([None, "me", "other"])
BODIES = st.binary(max_size=40)


class StoreMachine(RuleBasedStateMachine):
    """A store against plain dictionaries; `reopen` is a no-op where nothing outlives the store."""

    def __init__(self) -> None:
        super().__init__()
        self.runs: dict[str, RunRow] = {}
        self.steps: dict[str, dict[int, bytes]] = {}
        self.signals: dict[str, list[bytes]] = {}
        self.store = self.open()

    def open(self) -> WorkflowStore:
        return MemoryStore()

    @rule(run=RUNS, owner=OWNERS, body=BODIES)
    def create(self, run: str, owner: str | None, body: bytes) -> None:
        row = RunRow(run, "demo", "running", 1, body, owner)
        assert (self.store.create_run(row) is None) == (run not in self.runs)
        if self.runs.setdefault(run, row) is row:
            self.steps[run] = {}
            self.signals[run] = []

    @rule(run=RUNS, source=RUNS, end=st.integers(1, 6))
    def fork(self, run: str, source: str, end: int) -> None:
        row = RunRow(run, "demo", "queued", 1, b"fork")
        assert (self.store.create_run(row, fork=(source, end)) is None) == (run not in self.runs)
        if run not in self.runs:
            steps = self.steps.get(source, {})
            self.steps[run] = {at: body for at, body in steps.items() if at < end}
            self.signals[run] = list(self.signals.get(source, []))
            self.runs[run] = row._replace(signals=len(self.signals[run]))

    @rule(run=RUNS, epoch=EPOCHS, drop=st.lists(st.integers(1, 6), max_size=3))
    def reopen_run(self, run: str, epoch: int, drop: list[int]) -> None:
        row = self.runs.get(run)
        expected = row is not None and row.finished is not None and row.epoch == epoch
        done = self.store.reopen_run(run, epoch=epoch, status="queued", drop=drop)
        assert done == expected
        if row is not None and expected:
            self.runs[run] = row._replace(
                epoch=epoch + 1, status="queued", finished=None, outcome=None
            )
            for position in drop:
                self.steps[run].pop(position, None)

    @rule(run=RUNS, body=BODIES)
    def signal(self, run: str, body: bytes) -> None:
        row = self.runs.get(run)
        expected = row is not None and row.finished is None
        assert self.store.add_signal(run, body) == expected
        if row is not None and expected:
            self.signals[run].append(body)
            self.runs[run] = row._replace(signals=row.signals + 1)

    @rule(run=RUNS, epoch=EPOCHS, owner=OWNERS)
    def claim(self, run: str, epoch: int, owner: str | None) -> None:
        expected = self.held(run, epoch)
        assert self.store.claim_run(run, epoch=epoch, owner=owner) == expected
        if expected:
            self.runs[run] = self.runs[run]._replace(owner=owner, epoch=epoch + 1, status="running")

    @rule(run=RUNS, epoch=EPOCHS, position=st.integers(1, 6), body=BODIES)
    def record(self, run: str, epoch: int, position: int, body: bytes) -> None:
        expected = self.held(run, epoch) and position not in self.steps[run]
        kept = self.store.record_step(run, epoch=epoch, position=position, body=body)
        assert kept == expected
        if expected:
            self.steps[run][position] = body

    @rule(run=RUNS, epoch=EPOCHS, outcome=BODIES, finished=st.integers(1, 9))
    def finish(self, run: str, epoch: int, outcome: bytes, finished: int) -> None:
        expected = self.held(run, epoch)
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
            del self.runs[run], self.steps[run], self.signals[run]

    @rule()
    def reopen(self) -> None:
        if not isinstance(self.store, MemoryStore):
            self.store.close()
            self.store = self.open()

    @invariant()
    def same_as_the_model(self) -> None:
        listed = {row.id: row._replace(serial=0) for row in self.store.list_runs()}
        assert listed == self.runs
        for run, steps in self.steps.items():
            kept: Sequence[tuple[int, bytes]] = self.store.read_steps(run, after=0, limit=99)
            assert [tuple(step) for step in kept] == sorted(steps.items())
            sent = [body for _, body in self.store.read_signals(run, after=0)]
            assert sent == self.signals[run]

    def held(self, run: str, epoch: int) -> bool:
        row = self.runs.get(run)
        return row is not None and row.finished is None and row.epoch == epoch

    def teardown(self) -> None:
        self.store.close()


class SqliteMachine(StoreMachine):
    def open(self) -> WorkflowStore:
        if not hasattr(self, "folder"):
            self.folder = TemporaryDirectory()
        return SqliteStore(Path(self.folder.name) / "state.db")

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


class JsonMachine(SqliteMachine):
    def open(self) -> WorkflowStore:
        if not hasattr(self, "folder"):
            self.folder = TemporaryDirectory()
        return JsonStore(Path(self.folder.name))


TestMemoryAgainstModel = StoreMachine.TestCase
TestMemoryAgainstModel.settings = settings(max_examples=60, deadline=None)
TestSqliteAgainstModel = SqliteMachine.TestCase
TestSqliteAgainstModel.settings = settings(max_examples=25, deadline=None)
TestJsonAgainstModel = JsonMachine.TestCase
TestJsonAgainstModel.settings = settings(max_examples=25, deadline=None)
