"""Directs a survey: hands each folder to the surveyors over a queue and gathers their reports.

    python agents/director-agent.py                        survey every folder of this workspace
    python agents/director-agent.py --run bees configs     one folder, in the run called "bees"

Kill it whenever you like and start it again with the same run: what is done is not done twice.
"""

import argparse
from pathlib import Path

import msgspec

import holdfast
from holdfast import step, workflow
from holdfast.durable.files import make_folder, write_atomic
from holdfast.errors import ConflictError

NAME = "Director"
DESCRIPTION = "Hands the folders of the workspace to surveyors and gathers their reports."

ROOT = Path(__file__).parents[1]
workspace = holdfast.open_workspace(ROOT)
log = workspace.logger("director-agent")


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
    target = ROOT / "shared" / "reports" / f"{run}.md"
    make_folder(target.parent)
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
    """Start the survey, or go on with it where it was interrupted."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("folders", nargs="*", help="relative to the workspace; all by default")
    parser.add_argument("--run", default="survey-1", help="the id of the run")
    arguments = parser.parse_args()
    folders = arguments.folders or all_folders()
    run = survey.start(arguments.run, folders, id=arguments.run)
    print(ROOT / run.result())


if __name__ == "__main__":
    main()
