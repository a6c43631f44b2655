"""Writers that are killed at any instant leave their guest's file whole."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.claude.kills import BEFORE
from tests.conftest import child_environment

ROUNDS = 20 if sys.platform == "win32" else 250


@pytest.mark.slow
@pytest.mark.parametrize("lock", ["folder", "none"])
def test_five_hundred_kills_leave_the_file_whole(tmp_path: Path, lock: str) -> None:
    path = tmp_path / ".claude.json"
    path.write_bytes(BEFORE)
    script = Path(__file__).with_name("kills.py")
    done = subprocess.run(
        [sys.executable, str(script), str(path), str(ROUNDS), lock],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
