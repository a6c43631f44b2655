"""Surveys folders that the director assigns over the queue, and reports what it finds.

    python agents/surveyor-agent.py              work until interrupted
    python agents/surveyor-agent.py --max 5      stop after five folders

Start as many as you like: a folder goes to one of them, and comes back if that one dies.
"""

import argparse
import hashlib
from pathlib import Path
from typing import Any

import holdfast

NAME = "Surveyor"
DESCRIPTION = "Counts and fingerprints the files of a folder."

ROOT = Path(__file__).parents[1]
workspace = holdfast.open_workspace(ROOT)
log = workspace.logger("surveyor-agent")


def survey(folder: str) -> dict[str, Any]:
    """Count the files, lines and bytes right in `folder`, and fingerprint their content."""
    digest, files, lines, size = hashlib.sha256(), 0, 0, 0
    for path in sorted((ROOT / folder).iterdir()):
        if path.is_file():
            content = path.read_bytes()
            digest.update(path.name.encode() + b"\0" + content)
            files, lines, size = files + 1, lines + content.count(b"\n"), size + len(content)
    found = {"folder": folder, "files": files, "lines": lines, "size": size}
    return {**found, "digest": digest.hexdigest()}


def work(most: int | None) -> None:
    """Take assignments one by one; each is acknowledged once its report is on the way."""
    for done, message in enumerate(workspace.queue("surveys").consume(lease=60), start=1):
        task = message.body
        report = survey(task["folder"])
        workspace.queue(task["replyTo"]).put(report, key=task["folder"])
        log.info("Folder surveyed", folder=task["folder"], files=report["files"])
        message.ack()
        if done == most:
            return


def main() -> None:
    """Work until interrupted, or until ``--max`` folders are done."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--max", type=int, default=None, help="stop after this many folders")
    try:
        work(parser.parse_args().max)
    except KeyboardInterrupt:
        log.info("Interrupted; unfinished folders go back to the queue")


if __name__ == "__main__":
    main()
