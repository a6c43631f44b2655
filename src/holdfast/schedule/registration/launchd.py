"""launchd: a property list among the user's agents."""

import os
import plistlib
from pathlib import Path

from holdfast.schedule.registration.entry import EVERY_MINUTES, Command, Entry, Plan


def plan(entry: Entry, home: Path) -> Plan:
    """The property list, and the launchctl lines that load and unload it."""
    label = f"dev.{entry.name}"
    path = home / "Library" / "LaunchAgents" / f"{label}.plist"
    domain = f"gui/{os.getuid() if hasattr(os, 'getuid') else 501}"
    content = {
        "Label": label,
        "ProgramArguments": list(entry.arguments),
        "WorkingDirectory": str(entry.folder),
        "StartInterval": EVERY_MINUTES * 60,
        "RunAtLoad": True,
        "ProcessType": "Background",
        "LowPriorityIO": True,
        "StandardOutPath": "/dev/null",
        "StandardErrorPath": "/dev/null",
    }
    return Plan(
        "launchd",
        {path: plistlib.dumps(content)},
        enable=(Command(("launchctl", "bootstrap", domain, str(path))),),
        disable=(Command(("launchctl", "bootout", f"{domain}/{label}")),),
    )
