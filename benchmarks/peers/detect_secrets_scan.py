"""``detect-secrets scan --all-files``, on as many cores as there are."""

import json
import os
import subprocess
import sys
from pathlib import Path


def scan(folder: Path) -> int:
    """Scan `folder`."""
    cores = str(os.cpu_count() or 1)
    line = [sys.executable, "-m", "detect_secrets", "-c", cores, "scan", "--all-files", "."]
    done = subprocess.run(line, cwd=folder, capture_output=True, check=True)
    return sum(map(len, json.loads(done.stdout)["results"].values()))
