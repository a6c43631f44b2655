"""Durable workflows on SQLite and PostgreSQL."""

import os
from pathlib import Path

from holdfast.engines.urls import url_for
from holdfast.workflows import Workflows, step, workflow

_death: int | None = None


@step
def add_one(number: int) -> int:
    return number + 1


@workflow
def count_up(steps: int) -> int:
    total = 0
    for _ in range(steps):
        total = add_one(total)
    if _death is not None:
        os._exit(_death)
    return total


class Engine:
    def __init__(self, folder: Path, power: bool, url: str | None) -> None:
        url = url or url_for("sqlite", folder / "state.db")
        self._workflows = Workflows(url, durability="power" if power else "process")

    def run(self, steps: int) -> int:
        total: int = self._workflows.run(count_up, (steps,))
        return total

    def run_all(self, runs: int, steps: int) -> list[int]:
        started = [self._workflows.start(count_up, (steps,)) for _ in range(runs)]
        return [run.result() for run in started]

    def run_and_die(self, run_id: str, steps: int, status: int) -> None:
        global _death
        _death = status
        self._workflows.run(count_up, (steps,), run_id=run_id)

    def resume(self, run_id: str) -> int:
        total: int = self._workflows.resume(run_id, workflow=count_up).result()
        return total

    def close(self) -> None:
        self._workflows.close()


def connect(folder: Path, power: bool, url: str | None = None) -> Engine:
    """The engine in `folder`, or in the database at `url`."""
    return Engine(folder, power, url)
