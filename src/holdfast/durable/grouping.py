"""Group commit: what many threads ask for at once is done by one of them for all."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class _Slot(Generic[Request, Answer]):
    """One thread's request; `woken` is locked until there is an answer or it must lead."""

    __slots__ = ("answer", "error", "request", "woken")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.woken = threading.Lock()
        self.woken.acquire()


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

    def ask(self, request: Request) -> Answer:
        """The answer to `request`, once it is committed."""
        slot: _Slot[Request, Answer] = _Slot(request)
        with self._gate:
            self._pending.append(slot)
            leads, self._led = not self._led, True
        if not leads:
            slot.woken.acquire()
        if slot.answer is None and slot.error is None:
            self._lead()
        if slot.error is not None:
            raise slot.error
        assert slot.answer is not None
        return slot.answer

    def _lead(self) -> None:
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
            following = self._pending[:1]
        for slot in group + following:
            slot.woken.release()
