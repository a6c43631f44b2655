"""cron, where there is nothing better: it does not make up for what it slept through, run-due does.

The lines stand between two marks in the user's table; all others stay as they are.
"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from holdfast.errors import MissingError
from holdfast.schedule.registration.entry import EVERY_MINUTES, Command, Entry, Plan


def plan(entry: Entry, home: Path) -> Plan:
    """The table with our lines, and without them. Raises `MissingError`."""
    others = without(current_table(), entry)
    return Plan(
        "cron",
        enable=(Command(("crontab", "-"), others + lines(entry)),),
        disable=(Command(("crontab", "-"), others),),
    )


def current_table() -> str:
    """The user's table; empty when there is none. Raises `MissingError` without cron."""
    if shutil.which("crontab") is None:
        raise MissingError("there is no crontab program", hint="install cron, or use --system")
    done = subprocess.run(
        ["crontab", "-l"], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout if done.returncode == 0 else ""


def lines(entry: Entry) -> str:
    """Our lines. A percent sign would end the command there."""
    command = shlex.join(entry.arguments).replace("%", "\\%")
    return (
        f"{_begin(entry)}\n*/{EVERY_MINUTES} * * * * {command} >/dev/null 2>&1\n"
        f"@reboot {command} >/dev/null 2>&1\n{_end(entry)}\n"
    )


def without(table: str, entry: Entry) -> str:
    """`table` without our lines."""
    ours = re.escape(_begin(entry)) + r"\n.*?" + re.escape(_end(entry)) + r"\n?"
    others = re.sub(ours, "", table, flags=re.DOTALL)
    return others if not others or others.endswith("\n") else others + "\n"


def _begin(entry: Entry) -> str:
    return f"# >>> {entry.name} >>>"


def _end(entry: Entry) -> str:
    return f"# <<< {entry.name} <<<"
