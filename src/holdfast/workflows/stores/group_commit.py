"""Writes of many threads through one SQLite connection, those that wait combined in one commit.

A thread that finds the connection free writes at once, one statement in its own transaction. Who
comes meanwhile queues; the first of the queue then writes all of it in one transaction. Each call
returns only when its own write is committed at the connection's durability, so under load the cost
of a commit (and of its fsync) is shared and nothing is acknowledged early.
"""

import sqlite3
import threading
from collections.abc import Sequence
from typing import Any

from holdfast.engines.sqlite import transaction

Parameters = Sequence[Any]


class _Waiting:
    """A write in the queue; `turn` is released when it is done or when its thread has to lead."""

    __slots__ = ("changed", "error", "leads", "parameters", "statement", "turn")

    def __init__(self, statement: str, parameters: Parameters) -> None:
        self.statement = statement
        self.parameters = parameters
        self.changed = 0
        self.error: sqlite3.Error | None = None
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

    def write(self, statement: str, parameters: Parameters) -> int:
        """Run one changing statement, committed on return; the number of rows it changed.

        Raises `sqlite3.Error`; then nothing of the statement is kept.
        """
        waiting = self._enter(statement, parameters)
        if waiting is None:
            try:
                return self._connection.execute(statement, parameters).rowcount
            finally:
                self._leave()
        try:
            waiting.turn.acquire()
        except BaseException:  # interrupted: the others may still wait for this thread to lead
            waiting.turn.acquire()
            self._lead(waiting)
            raise
        self._lead(waiting)
        if waiting.error is not None:
            raise waiting.error
        return waiting.changed

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _enter(self, statement: str, parameters: Parameters) -> _Waiting | None:
        """None when the connection is now this thread's, else this thread's place in the queue."""
        with self._gate:
            if not self._taken:
                self._taken = True
                return None
            waiting = _Waiting(statement, parameters)
            self._queue.append(waiting)
            return waiting

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
        error: sqlite3.Error | None = sqlite3.OperationalError("the commit was interrupted")
        try:
            with transaction(self._connection) as connection:
                for write in batch:
                    write.changed = connection.execute(write.statement, write.parameters).rowcount
            error = None
        except sqlite3.Error as caught:
            error = caught
        finally:
            self._leave()
            for write in batch:
                write.error = error
                if write is not waiting:
                    write.turn.release()
