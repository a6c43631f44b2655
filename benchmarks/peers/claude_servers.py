"""``claude mcp list``, which starts every server that it lists."""

import os
import subprocess
from pathlib import Path


def verify(home: Path) -> int:
    """How many servers of `home` answer."""
    quiet = ("DISABLE_AUTOUPDATER", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY")
    done = subprocess.run(
        ["claude", "mcp", "list"],
        cwd=home,
        env={
            **os.environ,
            "HOME": str(home),
            "USERPROFILE": str(home),
            **dict.fromkeys(quiet, "1"),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.stdout.count("Connected")
