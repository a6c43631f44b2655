"""Writes of many threads through one SQLite connection, those that wait combined in one commit.

A thread that finds the connection free writes at once, in a transaction of its own. Who comes
meanwhile queues; the first of the queue then does all of it in one transaction. Each call returns
only when its own write is committed at the connection's durability, so under load the cost of a
commit (and of its fsync) is shared and nothing is acknowledged early.

Not `holdfast.durable.grouping`: here a waiting thread may be interrupted, a lone statement needs no
transaction around it, and what one change raises leaves the others of its commit alone.
"""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from holdfast.engines.sqlite import transaction

Answer = TypeVar("Answer")
Work = Callable[[sqlite3.Connection], Any]


class _Waiting:
    """A write in the queue; `turn` is released when it is done or when its thread has to lead."""

    __slots__ = ("alone", "answer", "error", "leads", "turn", "work")

    def __init__(self, work: Work, *, alone: bool) -> None:
        self.work = work
        self.alone = alone
        self.answer: Any = None
        self.error: Exception | None = None
        self.leads = False
        self.turn = threading.Lock()
        self.turn.acquire()


class GroupCommit:
    """The writing side of a store; owns the connection while a write runs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._gate = threading.Lock()
        self._taken = False
        self._queue: list[_Waiting] = []

    def write(self, statement: str, parameters: Sequence[Any]) -> sqlite3.Cursor:
        """Run one changing statement, committed on return; its cursor, for the rows it changed.

        Raises `sqlite3.Error`; then nothing of the statement is kept.
        """
        if self._take():
            try:
                return self._connection.execute(statement, parameters)
            finally:
                self._leave()
        cursor: sqlite3.Cursor = self._wait(
            lambda connection: connection.execute(statement, parameters), alone=False
        )
        return cursor

    def change(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Call `work` in a transaction, committed on return; what it returned.

        What it raises is raised here; then nothing of it is kept.
        """
        if self._take():
            try:
                with transaction(self._connection) as connection:
                    return work(connection)
            finally:
                self._leave()
        answer: Answer = self._wait(work, alone=True)
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _take(self) -> bool:
        """Whether the connection was free and is this thread's now."""
        with self._gate:
            free, self._taken = not self._taken, True
            return free

    def _wait(self, work: Work, *, alone: bool) -> Any:
        waiting = _Waiting(work, alone=alone)
        with self._gate:
            if self._taken:
                self._queue.append(waiting)
            else:  # it was left since this thread asked for it
                self._taken = True
                waiting.leads = True
                self._queue.append(waiting)
                waiting.turn.release()
        try:
            waiting.turn.acquire()
        except BaseException:  # interrupted: the others may still wait for this thread to lead
            waiting.turn.acquire()
            self._lead(waiting)
            raise
        self._lead(waiting)
        if waiting.error is not None:
            raise waiting.error
        return waiting.answer

    def _leave(self) -> None:
        with self._gate:
            if not self._queue:
                self._taken = False
                return
            leader = self._queue[0]
        leader.leads = True
        leader.turn.release()

    def _lead(self, waiting: _Waiting) -> None:
        if not waiting.leads:
            return
        with self._gate:
            batch, self._queue = self._queue, []
        error: Exception | None = sqlite3.OperationalError("the commit was interrupted")
        try:
            with transaction(self._connection) as connection:
                for each in batch:
                    each.answer, each.error = _done(each, connection)
            error = None
        except sqlite3.Error as caught:
            error = caught
        finally:
            self._leave()
            for each in batch:
                each.error = error or each.error
                if each is not waiting:
                    each.turn.release()


def _done(waiting: _Waiting, connection: sqlite3.Connection) -> tuple[Any, Exception | None]:
    """The answer or the error of one of several changes in a transaction.

    Raises `sqlite3.Error` when the whole transaction is lost.
    """
    if not waiting.alone:
        return waiting.work(connection), None
    connection.execute("SAVEPOINT one")
    try:
        answer = waiting.work(connection)
    except Exception as error:
        if not connection.in_transaction:  # a full disk, for example: SQLite gave it all up
            if isinstance(error, sqlite3.Error):
                raise
            raise sqlite3.OperationalError(str(error)) from error
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")
        return None, error
    connection.execute("RELEASE one")
    return answer, None
