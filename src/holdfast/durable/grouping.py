"""Group commit: what many threads ask for at once is done by one of them for all."""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")

_PATIENCE = 2  # times that a leader lets others run, and none of them asks


class _Slot(Generic[Request, Answer]):
    """One thread's request; `called` when there is an answer, or it must lead.

    `woken` is locked until then. `behind` is who is to be called next.
    """

    __slots__ = ("answer", "behind", "called", "error", "request", "woken")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.behind: _Slot[Request, Answer] | None = None
        self.called = False
        self.woken = threading.Lock()
        self.woken.acquire()

    def call(self) -> None:
        self.called = True
        self.woken.release()

    def wait(self) -> None:
        """Return once called; then call the one behind.

        One calls the next, because all woken at once would only stand in line for the interpreter.
        """
        if not self.called:
            self.woken.acquire()
        behind, self.behind = self.behind, None
        if behind is not None:
            behind.call()


class GroupCommit(Generic[Request, Answer]):
    """Hands the requests of all waiting threads to `commit`, which answers each of them, in order.

    One thread at a time leads: it commits for all who asked meanwhile, and makes one of those who
    came later the next leader. When `commit` raises, all of its group get that error.
    """

    def __init__(self, commit: Callable[[Sequence[Request]], Sequence[Answer]]) -> None:
        self._commit = commit
        self._gate = threading.Lock()
        self._pending: list[_Slot[Request, Answer]] = []
        self._led = False
        self._worth_it = 0

    def ask(self, request: Request) -> Answer:
        """The answer to `request`, once it is committed."""
        slot: _Slot[Request, Answer] = _Slot(request)
        with self._gate:
            self._pending.append(slot)
            slot.called, self._led = not self._led, True
        try:
            self._go_through(slot)
        except BaseException:
            if slot.error is None:  # Ctrl-C: others depend on this one's turn
                threading.Thread(target=self._go_through, args=(slot,)).start()
            raise
        if slot.error is not None:
            raise slot.error
        assert slot.answer is not None
        return slot.answer

    def _go_through(self, slot: _Slot[Request, Answer]) -> None:
        """Wait for the answer, or lead."""
        slot.wait()
        if slot.answer is None and slot.error is None:
            self._lead(slot)

    def _lead(self, leader: _Slot[Request, Answer]) -> None:
        self._gather()
        with self._gate:
            group, self._pending = self._pending, []
        try:
            answers = self._commit([slot.request for slot in group])
            for slot, answer in zip(group, answers, strict=True):
                slot.answer = answer
        except BaseException as error:
            for slot in group:
                slot.error = error
        with self._gate:
            self._led = bool(self._pending)
            line = [slot for slot in (*group, *self._pending[:1]) if slot is not leader]
            self._worth_it = (len(group) + len(self._pending)) // 2
        for slot, behind in pairwise(line):
            slot.behind = behind
        if line:
            line[0].call()

    def _gather(self) -> None:
        """Let those who were just answered ask again: a commit for one costs as much as for all.

        For half of them, so that the others work while these are committed.
        """
        fruitless = seen = 0
        while (count := len(self._pending)) < self._worth_it and fruitless < _PATIENCE:
            fruitless = fruitless + 1 if count == seen else 0
            seen = count
            time.sleep(0)
