"""Commands are found as a shell finds them, on every system."""

import os
import subprocess
import sys
from pathlib import Path

from holdfast.durable.commands import startable


def test_a_script_on_the_path_can_be_started(tmp_path: Path) -> None:
    if sys.platform == "win32":
        (tmp_path / "greet.cmd").write_text("@echo hello %1\r\n", encoding="ascii", newline="")
    else:
        (tmp_path / "greet").write_text("#!/bin/sh\necho hello $1\n", encoding="ascii")
        (tmp_path / "greet").chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}
    command = startable(["greet", "bees"], environment)
    said = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    assert said.stdout.split() == [b"hello", b"bees"]


def test_what_is_not_found_stays_as_it_is() -> None:
    assert startable(["no-such-program-here", "x"], {}) == ["no-such-program-here", "x"]
