"""The jobs: each a time and lines of ``holdfast`` arguments; settings change or add some."""

from collections.abc import Mapping
from typing import NamedTuple

from cronsim import CronSim, CronSimError

from holdfast.durable.names import check_identifier
from holdfast.errors import UsageError
from holdfast.workspace.settings import Job

CHANGE = "change"
"""In place of a time: when a file below configs/ changed."""

Lines = tuple[tuple[str, ...], ...]

_KEEP = (
    *("--keep-hourly", "48", "--keep-daily", "30"),
    *("--keep-weekly", "12", "--keep-monthly", "24"),
)

DEFAULT_JOBS = {
    "configuration": Job(CHANGE, (("history", "save", "--configs"),)),
    "history": Job("30 18 * * *", (("history", "save"),)),
    "snapshots": Job("0 * * * *", (("backup", "create", "--tag", "hourly"),)),
    "archive": Job("0 3 * * 0", (("backup", "create", "--kind", "archive", "--tag", "weekly"),)),
    "system": Job(
        "0 4 1 * *",
        (("backup", "create", "--kind", "archive", "--everything", "--tag", "monthly"),),
    ),
    "drill": Job("0 5 2 * *", (("backup", "drill"),)),
    "retention": Job(
        "15 2 * * *",
        (
            ("backup", "forget", *_KEEP, "--everywhere", "--yes"),
            ("backup", "prune", "--everywhere", "--yes"),
            ("undo", "--expire"),
            ("quarantine", "empty", "--expired", "--yes"),
        ),
    ),
    "space": Job("30 * * * *", (("usage", "--check"),)),
}


class Planned(NamedTuple):
    """A job as it is to be run."""

    name: str
    when: str
    run: Lines
    enabled: bool = True


def planned_jobs(chosen: Mapping[str, Job]) -> list[Planned]:
    """The default jobs as `chosen` changes them, and the further ones. Raises `UsageError`."""
    names = list(dict.fromkeys([*DEFAULT_JOBS, *chosen]))
    return [_merge(name, DEFAULT_JOBS.get(name, Job()), chosen.get(name, Job())) for name in names]


def _merge(name: str, default: Job, chosen: Job) -> Planned:
    check_identifier(name, "name of a job")
    when = chosen.when or default.when
    run = chosen.run or default.run
    if when is None or not run or not all(run):
        raise UsageError(f"the job {name!r} needs a time (when) and what to run (run)")
    if when != CHANGE:
        _check(name, when)
    enabled = chosen.enabled if chosen.enabled is not None else default.enabled is not False
    return Planned(name, when, run, enabled)


def _check(name: str, when: str) -> None:
    from datetime import datetime

    try:
        next(CronSim(when, datetime(2026, 1, 1)))  # noqa: DTZ001  any moment
    except (CronSimError, StopIteration) as error:
        raise UsageError(
            f"the job {name!r} has no time that can be: {when!r} ({error})",
            hint="five cron fields such as '0 3 * * 0', or 'change'; in configs/holdfast.json",
        ) from error
