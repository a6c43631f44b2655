"""Watches the workspace's logs, queues and runs, and writes ``health.json`` beside this file.

python agents/observatory-agent/main.py               look once; exits 1 when something is wrong
python agents/observatory-agent/main.py --every 60    look every minute until interrupted
"""

import argparse
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

import holdfast
from holdfast.durable.documents import write_document
from holdfast.logs import search
from holdfast.upkeep.status import workspace_status

HERE = Path(__file__).parent
workspace = holdfast.open_workspace(HERE.parents[1])
log = workspace.logger("observatory-agent")


class Health(msgspec.Struct, rename="camel"):
    """One look at the workspace; `concerns` is empty when all is well."""

    looked_at: datetime
    concerns: list[str]
    stores: dict[str, str]
    recent_errors: list[str]


def look(window: timedelta) -> Health:
    """Look at every store, and at the errors logged within `window` from now."""
    now = datetime.now(UTC)
    status = workspace_status(workspace)
    errors = search(workspace.layout.logs, level="ERROR", since=now - window)
    recent = [f"{each.data['component']}: {each.data['message']}" for each in errors]
    concerns = [f"{store.name}: {store.problem}" for store in status.stores if store.problem]
    concerns += status.unprotected
    if recent:
        concerns.append(f"{len(recent)} errors logged in the last {window}")
    return Health(now, concerns, {store.name: store.holds for store in status.stores}, recent)


def report(window: timedelta) -> bool:
    """Look once and write the report; returns whether all is well."""
    health = look(window)
    write_document(HERE / "health.json", health)
    log.info("Health report written", concerns=len(health.concerns))
    for concern in health.concerns:
        print(concern)
    return not health.concerns


def main() -> None:
    """Look once, or again and again with ``--every``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=float, metavar="SECONDS", help="look again and again")
    parser.add_argument("--window", type=float, default=60, metavar="MINUTES", help="of errors")
    arguments = parser.parse_args()
    window = timedelta(minutes=arguments.window)
    well = report(window)
    while arguments.every:
        time.sleep(arguments.every)
        well = report(window)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
