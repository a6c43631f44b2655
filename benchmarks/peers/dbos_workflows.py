"""DBOS Transact on SQLite and PostgreSQL.

On SQLite as shipped it keeps a rollback journal with synchronous=FULL, which survives a power cut.
Where a crash is all that is to be survived it is given WAL and NORMAL, as we have; another row
shows it as shipped.
"""

import os
from pathlib import Path
from typing import Any

from dbos import DBOS, SetWorkflowID
from sqlalchemy import event
from sqlalchemy.engine import Engine as SqlEngine

_death: int | None = None


@DBOS.step()
def add_one(number: int) -> int:
    return number + 1


@DBOS.workflow()
def count_up(steps: int) -> int:
    total = 0
    for _ in range(steps):
        total = add_one(total)
    if _death is not None:
        os._exit(_death)
    return total


class Engine:
    def __init__(self, folder: Path, power: bool, url: str | None) -> None:
        if not power and url is None:
            event.listen(SqlEngine, "connect", _survive_a_crash_only)
        DBOS(
            config={
                "name": "benchmark",
                "system_database_url": url or f"sqlite:///{(folder / 'dbos.sqlite').as_posix()}",
                "application_version": "1",
                "run_admin_server": False,
                "log_level": "ERROR",
            }
        )
        DBOS.launch()

    def run(self, steps: int) -> int:
        total: int = count_up(steps)
        return total

    def run_all(self, runs: int, steps: int) -> list[int]:
        handles = [DBOS.start_workflow(count_up, steps) for _ in range(runs)]
        return [handle.get_result() for handle in handles]

    def run_and_die(self, run_id: str, steps: int, status: int) -> None:
        global _death
        _death = status
        with SetWorkflowID(run_id):
            count_up(steps)

    def resume(self, run_id: str) -> int:
        # What DBOS.launch does for the runs of its own executor, without the time of a launch.
        handles = DBOS._recover_pending_workflows(["local"])
        (handle,) = [one for one in handles if one.workflow_id == run_id]
        total: int = handle.get_result()
        return total

    def close(self) -> None:
        DBOS.destroy()


def connect(folder: Path, power: bool, url: str | None = None) -> Engine:
    """The engine in `folder`, or in the PostgreSQL database at `url`; one a process."""
    return Engine(folder, power, url)


def _survive_a_crash_only(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
