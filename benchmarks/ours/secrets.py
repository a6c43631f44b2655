"""``holdfast secrets scan``."""

import json
import subprocess
import sys
from pathlib import Path

from holdfast.workspace.creation import create


def scan(folder: Path) -> int:
    """Scan `folder`, in a workspace beside it."""
    root = folder.parent / "workspace"
    if not root.exists():
        create(root, home=folder.parent)
    line = [sys.executable, "-m", "holdfast", "secrets", "scan", str(folder), "--json"]
    done = subprocess.run([*line, "-w", str(root)], capture_output=True, check=False)
    return len(json.loads(done.stdout)["findings"])
