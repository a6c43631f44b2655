"""Finds the tests of this workspace's agents, servers and libraries, runs them and reports.

    python scripts/test-runner.py                     all of them
    python scripts/test-runner.py utilities           those with this in their place
    python scripts/test-runner.py --list              which there are
    python scripts/test-runner.py --json              the report for programs

A folder with files test_*.py is run by pytest if that is installed, else by unittest; one whose
package.json has a script "test" by npm. Exit status 1 when one fails, 5 when there are none.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("agents", "mcp-servers", "shared", "scripts")
PASSED = {"node_modules", "__pycache__", "venv", "env"}
SHOWN = 4000  # characters of what a failed one printed


@dataclass(frozen=True)
class Suite:
    """The tests of one folder, relative to the workspace, and the command that runs them."""

    folder: str
    kind: str
    command: list[str] | None  # None: the program that it needs is not installed


@dataclass(frozen=True)
class Outcome:
    """How a suite did: `status` is passed, failed or skipped; `output` what a failed one said."""

    folder: str
    kind: str
    status: str
    seconds: float
    output: str = ""


def suites() -> Iterator[Suite]:
    """Every folder with tests, in the order of names."""
    for place in PLACES:
        for folder, below, files in os.walk(ROOT / place):
            below[:] = sorted(name for name in below if name not in PASSED and name[0] != ".")
            where = Path(folder).relative_to(ROOT).as_posix()
            if any(name.startswith("test_") and name.endswith(".py") for name in files):
                yield Suite(where, "python", _python_command())
            if "package.json" in files and _has_script(Path(folder) / "package.json"):
                npm = shutil.which("npm.cmd" if sys.platform == "win32" else "npm")
                yield Suite(where, "node", [npm, "test", "--silent"] if npm else None)


def _python_command() -> list[str]:
    if importlib.util.find_spec("pytest") is not None:
        return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    return [sys.executable, "-m", "unittest", "discover", "-s", "."]


def _has_script(package: Path) -> bool:
    try:
        facts = json.loads(package.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(facts, dict) and "test" in (facts.get("scripts") or {})


def run(suite: Suite, timeout: float) -> Outcome:
    """Run one suite in its folder, `timeout` seconds at most."""
    if suite.command is None:
        return Outcome(suite.folder, suite.kind, "skipped", 0.0, "npm is not installed")
    began = time.monotonic()
    try:
        done = subprocess.run(
            suite.command,
            cwd=ROOT / suite.folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
        status, said = "failed" if done.returncode else "passed", done.stdout
    except subprocess.TimeoutExpired as error:
        status, said = "failed", (error.stdout or b"") + f"\nended after {timeout:g} s".encode()
    seconds = round(time.monotonic() - began, 2)
    output = said.decode("utf-8", "replace")[-SHOWN:].strip() if status == "failed" else ""
    return Outcome(suite.folder, suite.kind, status, seconds, output)


def tell(outcome: Outcome) -> None:
    """One line, and below it what a failed suite printed."""
    print(
        f"{outcome.status:<8} {outcome.folder} ({outcome.kind}, {outcome.seconds:g} s)", flush=True
    )
    for line in outcome.output.splitlines():
        print(f"         {line}")


def main() -> int:
    """Run what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="only suites with one of these in their place")
    parser.add_argument("--list", action="store_true", help="print the suites and end")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for each suite")
    given = parser.parse_args()
    chosen = [s for s in suites() if not given.names or any(n in s.folder for n in given.names)]
    if given.list:
        print("\n".join(f"{suite.folder} ({suite.kind})" for suite in chosen))
        return 0
    outcomes = []
    for suite in chosen:
        outcomes.append(run(suite, given.timeout))
        if not given.json:
            tell(outcomes[-1])
    if given.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], indent=2))
    else:
        counts = [sum(o.status == s for o in outcomes) for s in ("passed", "failed", "skipped")]
        print("{} passed, {} failed, {} skipped".format(*counts))
    if not outcomes:
        return 5
    return 1 if any(outcome.status == "failed" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
