"""Threads that come when they help: work that waits never keeps other work waiting."""

import threading
import time
from functools import partial

from holdfast.workflows.growing_pool import GrowingPool


def test_each_piece_of_work_is_called_once_and_close_waits() -> None:
    pool = GrowingPool(4, "test")
    called: list[int] = []
    for number in range(200):
        pool.submit(partial(called.append, number))
    pool.close()
    assert sorted(called) == list(range(200))


def test_work_that_waits_gets_as_many_threads_as_there_may_be() -> None:
    pool, barrier = GrowingPool(8, "test"), threading.Barrier(8)

    def meet() -> None:
        barrier.wait(60)

    for _ in range(16):
        pool.submit(meet)
    pool.close()
    assert not barrier.broken


def test_work_behind_a_waiting_piece_is_called_again_and_again() -> None:
    pool = GrowingPool(4, "test")
    for _ in range(20):  # with and without idle threads
        gate, done = threading.Event(), threading.Event()

        def waits(gate: threading.Event = gate, done: threading.Event = done) -> None:
            assert gate.wait(60)
            done.set()

        pool.submit(waits)
        pool.submit(gate.set)
        assert done.wait(60)
        time.sleep(0.001)
    pool.close()


def test_no_more_than_the_most_are_called_at_once_and_errors_end_nothing() -> None:
    pool, lock = GrowingPool(3, "test"), threading.Lock()
    within, widest, ended = 0, 0, 0

    def work() -> None:
        nonlocal within, widest, ended
        with lock:
            within += 1
            widest = max(widest, within)
        time.sleep(0.002)
        with lock:
            within -= 1
            ended += 1
        raise ValueError("nobody listens")

    for _ in range(60):
        pool.submit(work)
    pool.close()
    assert (within, ended) == (0, 60)
    assert widest <= 3
