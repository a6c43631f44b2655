"""A process that uses every store of a workspace until it is killed, keeping a ledger.

It puts, takes and acknowledges messages, goes on with a workflow run, and counts in the agent
registry. Run as ``python -m tests.crash.worker WORKSPACE LEDGER``, or called in a forked child.
"""

import itertools
import sys
from pathlib import Path

from holdfast import step, workflow
from holdfast.facade import Workspace, open_workspace
from tests.crash.ledger import Ledger, read_notes

STEPS_A_RUN = 40
LEASE = 0.5  # seconds: what a killed process had taken comes back quickly

_ledger: Ledger | None = None


def _note(kind: str, subject: str) -> None:
    """Write to the ledger, if this process keeps one."""
    if _ledger is not None:
        _note(kind, subject)


@step
def advance(run: str, number: int) -> int:
    """One step of the run, noted when it is executed."""
    _note("executed", f"{run}:{number}")
    return number * number


@workflow
def march(run: str) -> int:
    """A run of many steps; a step is noted as finished once its result is in our hands."""
    total = 0
    for number in range(STEPS_A_RUN):
        total += advance(run, number)
        _note("finished", f"{run}:{number}")
    return total


def work(root: Path, ledger: Path) -> None:
    """Use every store, again and again, until killed."""
    global _ledger
    _ledger = Ledger(ledger)
    with open_workspace(root) as workspace:
        _note("ready", "")
        for number in itertools.count():
            _exchange_messages(workspace)
            _count_in_registry(workspace)
            _go_on_with_run(workspace, ledger)
            _note("round", str(number))


def _exchange_messages(workspace: Workspace) -> None:
    jobs = workspace.queue("jobs")
    for _ in range(3):
        _note("put", jobs.put({"text": "x" * 200}))
    for message in jobs.take(2, lease=LEASE):
        _note("acking", message.id)
        message.ack()
        _note("acked", message.id)


def _count_in_registry(workspace: Workspace) -> None:
    agent = workspace.registry.get("counter")
    count = int(agent.further["count"]) + 1
    workspace.registry.update("counter", count=count)
    _note("counted", str(count))


def _go_on_with_run(workspace: Workspace, ledger: Path) -> None:
    """Go on with the first run that is not finished; start the next one when all are."""
    marched = {subject for kind, subject in read_notes(ledger) if kind == "marched"}
    name = f"march-{len(marched)}"
    _note("started", name)
    march.start(name, id=name).result()
    _note("marched", name)


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]))
