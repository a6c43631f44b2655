"""Takes goals from the queue "goals", runs the declared workflow each one names, and reports.

    python agents/director-agent.py                        work until it is asked to stop
    python agents/director-agent.py --run bees configs     direct one survey, in the run "bees"

A goal is ``{"workflow": "inventory", "input": {"pattern": "configs/**/*.json"}}``, put by
``holdfast queues put goals GOAL``; the workflow is ``configs/workflows/inventory.json``. The report
is ``shared/reports/goal-<message id>.json``.

Kill it whenever you like and start it again: what is done is not done twice. In a survey the
director hands each folder to the surveyors over a queue and gathers what they find.
"""

import argparse
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

import holdfast
from holdfast import step, workflow
from holdfast.durable.documents import write_document
from holdfast.durable.files import make_folder, write_atomic
from holdfast.errors import ConflictError, RunError, StepError
from holdfast.workflows.declarations import Declaration
from holdfast.workflows.tasks import run_declared

NAME = "Director"
DESCRIPTION = "Runs the declared workflows that goals name, directs surveys, and reports."

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "shared" / "reports"
workspace = holdfast.open_workspace(ROOT)
log = workspace.logger("director-agent")


class Goal(msgspec.Struct, forbid_unknown_fields=True):
    """What is wanted: the name of a declared workflow, and its input."""

    workflow: str
    input: Any = None


class GoalReport(msgspec.Struct, rename="camel"):
    """What became of a goal: `output` has that of each task, `error` why there is none."""

    run: str
    goal: Any
    status: str
    output: Any = None
    error: str | None = None
    finished_at: datetime | None = None


@step
def understand(goal: Any) -> Declaration:
    """The declared workflow that a goal names, as it is now."""
    return workspace.declared_workflow(msgspec.convert(goal, Goal).workflow)


@step
def report_on(report: GoalReport) -> str:
    """Write the report; returns its path relative to the workspace."""
    report.finished_at = datetime.now(UTC)
    make_folder(REPORTS)
    target = REPORTS / f"{report.run}.json"
    write_document(target, report)
    write = log.info if report.error is None else log.error
    write("Goal reported", run=report.run, status=report.status, path=str(target))
    return target.relative_to(ROOT).as_posix()


@workflow
def pursue(run: str, goal: Any) -> str:
    """Run what `goal` names as a run of its own; returns the path of the report, also if it failed.

    Fails itself only when the report cannot be written.
    """
    try:
        wanted = understand(goal)
        outcome = run_declared.known_as(wanted.name).child(
            wanted, goal.get("input"), id=f"{run}.work"
        )
        report = GoalReport(run, goal, "succeeded", outcome.result())
    except (StepError, RunError) as error:
        report = GoalReport(run, goal, "failed", error=str(error))
    return report_on(report)


def direct(stop: threading.Event) -> None:
    """Go on with what was interrupted, then start a run for each goal until `stop` is set."""
    runs = workspace.workflows
    for run in runs.recover():
        log.info("Run taken up again", run=run.id)
    print("taking goals from the queue 'goals'", flush=True)
    for message in workspace.queue("goals").consume(stop=stop.is_set):
        run_id = f"goal-{message.id}"
        log.info("Goal taken", run=run_id)
        workspace.start_from(message, pursue, run_id, message.body, id=run_id)
    runs.put_down()
    workspace.close()
    log.info("Stopped; what was under way goes on at the next start")


class Report(msgspec.Struct):
    """What a surveyor found in one folder; sizes in bytes."""

    folder: str
    files: int
    lines: int
    size: int
    digest: str


class Delivery(msgspec.Struct):
    """A report as it came from the queue, and the receipt that acknowledges it."""

    report: Report
    receipt: str


@step
def assign(folder: str, run: str) -> str:
    """Hand one folder out. The key makes a repeated assignment the same message."""
    log.info("Folder assigned", folder=folder)
    task = {"folder": folder, "replyTo": f"reports-{run}"}
    return workspace.queue("surveys").put(task, key=f"{run}-{folder}")


@step(retries=20)
def gather(run: str) -> Delivery:
    """Wait for the next report. It stays on the queue until `settle` acknowledges it."""
    messages = workspace.queue(f"reports-{run}").take(lease=60, wait=30)
    if not messages:
        raise TimeoutError("no surveyor has reported: is surveyor-agent.py running?")
    report = msgspec.convert(messages[0].body, Report)
    log.info("Report received", folder=report.folder, files=report.files)
    return Delivery(report, messages[0].receipt)


@step
def settle(run: str, receipt: str) -> None:
    """Acknowledge a report, now that it is kept in a checkpoint."""
    try:
        workspace.queue(f"reports-{run}").ack(receipt)
    except ConflictError:
        log.warning("The lease ran out; the report will come again and be recognised")


@step
def publish(run: str, reports: list[Report]) -> str:
    """Write the survey as a table; returns its path relative to the workspace."""
    rows = [f"| {r.folder} | {r.files} | {r.lines} | {r.size} |" for r in reports]
    table = ["| folder | files | lines | bytes |", "|---|---:|---:|---:|", *rows]
    target = REPORTS / f"{run}.md"
    make_folder(REPORTS)
    write_atomic(target, ("\n".join(table) + "\n").encode())
    log.info("Survey published", path=str(target), folders=len(reports))
    return target.relative_to(ROOT).as_posix()


@workflow
def survey(run: str, folders: list[str]) -> str:
    """Survey `folders`; returns the path of the finished table."""
    for folder in folders:
        assign(folder, run)
    reports: dict[str, Report] = {}
    while len(reports) < len(folders):
        delivery = gather(run)
        reports[delivery.report.folder] = delivery.report
        settle(run, delivery.receipt)
    return publish(run, [reports[folder] for folder in folders])


def all_folders() -> list[str]:
    """The folders of this workspace that hold files, without hidden ones."""
    folders = [path for path in ROOT.rglob("*") if path.is_dir()]
    visible = [path.relative_to(ROOT) for path in folders if any(map(Path.is_file, path.iterdir()))]
    return sorted(p.as_posix() for p in visible if not any(n[0] in "._" for n in p.parts))


def main() -> None:
    """Direct one survey with ``--run``, also one that was interrupted; else pursue goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", help="of a survey; all of the workspace by default")
    parser.add_argument("--run", help="direct one survey; this is the id of its run")
    arguments = parser.parse_args()
    if arguments.run is None:
        if arguments.folders:
            parser.error("folders are of a survey: give it a --run")
        stop = threading.Event()
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # the last is what Windows has
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: stop.set())
        direct(stop)
        return
    run = survey.start(arguments.run, arguments.folders or all_folders(), id=arguments.run)
    print(ROOT / run.result())


if __name__ == "__main__":
    main()
