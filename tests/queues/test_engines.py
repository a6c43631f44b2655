"""Every engine passes the published suite and agrees with the model."""

from pathlib import Path

from hypothesis import settings

from holdfast.queues import QueueStore
from holdfast.queues.stores.file import FileQueueStore
from holdfast.queues.stores.memory import MemoryQueueStore
from holdfast.queues.stores.sqlite import SqliteQueueStore
from holdfast.testing.queue_machine import queue_machine
from holdfast.testing.queues import QueueSuite


def small(folder: Path) -> FileQueueStore:
    """Files so small that little data takes every path: rolls, checkpoints, compaction."""
    return FileQueueStore(folder / "q", segment_bytes=700, ledger_bytes=300)


class TestMemory(QueueSuite):
    persistent = False
    shared = False

    def open_store(self, folder: Path) -> QueueStore:
        return MemoryQueueStore()


class TestFile(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return FileQueueStore(folder / "q")


class TestFileInSmallPieces(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return small(folder)


class TestFileSurvivingPowerCuts(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return FileQueueStore(folder / "q", durability="power", segment_bytes=5000)


class TestSqlite(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return SqliteQueueStore(folder / "state.db", "q")


class TestSqliteSurvivingPowerCuts(QueueSuite):
    persistent = True
    shared = True

    def open_store(self, folder: Path) -> QueueStore:
        return SqliteQueueStore(folder / "state.db", "q", durability="power")


_calm = settings(max_examples=40, stateful_step_count=40, deadline=None)

TestMemoryMachine = queue_machine(lambda folder: MemoryQueueStore(), persistent=False).TestCase
TestMemoryMachine.settings = _calm
TestFileMachine = queue_machine(small, persistent=True).TestCase
TestFileMachine.settings = _calm
TestSqliteMachine = queue_machine(
    lambda folder: SqliteQueueStore(folder / "state.db", "q"), persistent=True
).TestCase
TestSqliteMachine.settings = _calm
