"""Steps and runs written together with what other rooms put into the same database."""

from holdfast.engines.outbox import Outbox, outbox_for
from holdfast.workflows.store import RunRow, WorkflowStore, transactional


class SharedTransactions:
    """A store's writes that take an outbox with them, where the store's database has any.

    `database` is its identity, empty for a store whose transactions nobody can share.
    """

    def __init__(self, store: WorkflowStore) -> None:
        self._store = store
        self._transactional = transactional(store)
        self.database = "" if self._transactional is None else self._transactional.database

    def create_run(self, row: RunRow, fork: tuple[str, int] | None) -> RunRow | None:
        """Create the run, and in the same transaction what the outbox around it holds, if any."""
        outbox = self._open()
        if self._transactional is None or outbox is None:
            return self._store.create_run(row, fork=fork)
        present = self._transactional.create_run(row, fork=fork, outbox=outbox)
        if present is None:
            outbox.writes.clear()
        return present

    def deliver(self) -> None:
        """Do what the outbox around it still holds: the run it was to go with was there already."""
        outbox = self._open()
        if self._transactional is not None and outbox is not None:
            self._transactional.deliver(outbox)
            outbox.writes.clear()

    def record_step(
        self, run_id: str, *, epoch: int, position: int, body: bytes, outbox: Outbox | None
    ) -> bool:
        """Record the step, and what its outbox holds exactly when the step is kept."""
        if self._transactional is None or outbox is None or not outbox.writes:
            return self._store.record_step(run_id, epoch=epoch, position=position, body=body)
        return self._transactional.record_step(
            run_id, epoch=epoch, position=position, body=body, outbox=outbox
        )

    def _open(self) -> Outbox | None:
        outbox = outbox_for(self.database) if self.database else None
        return outbox if outbox is not None and outbox.writes else None
