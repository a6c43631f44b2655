"""``python -m benchmarks``: all rows or some, as a table and as JSON, or drawn into docs/."""

import argparse
import json
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.cases import Case, Suite
from benchmarks.environment import SCRATCH
from benchmarks.harness import as_document, measure_all
from benchmarks.machine import describe
from benchmarks.publish import publish
from benchmarks.suites import (
    events,
    guard,
    logs,
    queues,
    registry,
    secrets,
    servers,
    snapshots,
    startup,
    workflows,
)
from benchmarks.table import print_table

SUITES: dict[str, Suite] = {
    "startup": startup.cases,
    "queues": queues.cases,
    "events": events.cases,
    "workflows": workflows.cases,
    "registry": registry.cases,
    "servers": servers.cases,
    "logs": logs.cases,
    "snapshots": snapshots.cases,
    "guard": guard.cases,
    "secrets": secrets.cases,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 when every row was measured, 1 when some were not, 2 for wrong usage."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.plot is not None:
        for path in publish(chosen.plot):
            _say(str(path))
        return 0
    cases = select(chosen.names, quick=chosen.quick)
    if not cases:
        parser.error(f"nothing is called {' '.join(chosen.names)}; see --list")
    if chosen.list:
        width = max(len(case.name) for case in cases)
        for case in cases:
            peers = ", ".join(peer.name for peer in case.peers)
            print(f"{case.name:<{width}}  {case.what} (beside {peers})")
        return 0
    facts = describe(SCRATCH.parent)
    results = []
    for result in measure_all(cases, repeat=chosen.repeat, scratch=SCRATCH / "tmp", say=_say):
        results.append(result)
        if chosen.json is not None:
            text = json.dumps(as_document(results, facts), indent=2, ensure_ascii=False)
            chosen.json.write_text(text + "\n", "utf-8")
    print_table(results, facts, chosen.repeat)
    return 1 if any(side.problem for result in results for side in result.sides) else 0


def select(names: Sequence[str], *, quick: bool) -> list[Case]:
    """The rows that `names` (suites, rows or patterns) mean; all when there are none."""
    cases = [case for suite in SUITES.values() for case in suite(quick)]
    if not names:
        return cases
    return [case for case in cases if any(_meant(case.name, name) for name in names)]


def _meant(case: str, name: str) -> bool:
    return fnmatch(case, name) or case.startswith(f"{name}/")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="suites, rows or patterns")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="samples a side (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    parser.add_argument(
        "--plot",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="measure nothing: publish what these JSON files hold, as drawings and tables in docs/",
    )
    parser.add_argument("--quick", action="store_true", help="little work; figures mean little")
    return parser


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
