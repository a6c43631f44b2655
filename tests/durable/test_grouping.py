"""Group commit: everybody gets the answer to what they asked, also if one is interrupted."""

import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from holdfast.durable.grouping import GroupCommit


def test_every_thread_gets_its_own_answer_and_groups_form() -> None:
    sizes: list[int] = []

    def commit(group: Sequence[int]) -> list[int]:
        sizes.append(len(group))
        return [2 * number for number in group]

    together: GroupCommit[int, int] = GroupCommit(commit)

    def work(start: int) -> list[int]:
        return [together.ask(number) for number in range(start, 800, 8)]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(work, range(8)))
    assert answers == [[2 * number for number in range(start, 800, 8)] for start in range(8)]
    assert sum(sizes) == 800


def test_an_error_reaches_all_of_its_group_and_nobody_else() -> None:
    def commit(group: Sequence[int]) -> list[int]:
        if 13 in group:
            raise ValueError("unlucky")
        return list(group)

    together: GroupCommit[int, int] = GroupCommit(commit)
    with pytest.raises(ValueError, match="unlucky"):
        together.ask(13)
    assert together.ask(14) == 14


def test_an_interrupted_thread_lets_the_others_go_on() -> None:
    if sys.platform == "win32":
        pytest.skip("a lock cannot be interrupted there")

    committing, go_on = threading.Event(), threading.Event()

    def commit(group: Sequence[int]) -> list[int]:
        if 1 in group:
            committing.set()
            assert go_on.wait(30)
        return list(group)

    together: GroupCommit[int, int] = GroupCommit(commit)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(together.ask, 1)
        assert committing.wait(30)

        main = threading.get_ident()

        def interrupt() -> None:
            while not together._pending:
                time.sleep(0.001)
            signal.pthread_kill(main, signal.SIGINT)

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            together.ask(2)  # the next to lead
        later = pool.submit(together.ask, 3)
        go_on.set()
        assert first.result(30) == 1
        assert later.result(30) == 3
