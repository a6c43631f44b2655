"""Fixtures every room's tests share."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src"


def require(present: bool, what: str) -> None:
    """Skip loudly when a real part is missing; in CI that is a failure."""
    if present:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"NOT TESTED: {what} is missing on this machine")


def require_program(name: str) -> str:
    """The path of a real program such as ``git`` or ``zstd``; see `require`."""
    found = shutil.which(name)
    require(found is not None, f"the program {name}")
    assert found is not None
    return found


Runner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def holdfast(tmp_path: Path) -> Runner:
    """Run the real ``holdfast`` command in a process of its own: ``holdfast("status", cwd=…)``."""

    def run(
        *arguments: str | Path,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "holdfast", *map(str, arguments)],
            cwd=cwd or tmp_path,
            env={**os.environ, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run
