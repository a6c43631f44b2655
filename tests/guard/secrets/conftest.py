"""Secrets kept in files, whose key lies in a configuration folder of the test."""

import subprocess
from pathlib import Path

import pytest

from holdfast.facade import Workspace
from tests.conftest import require_program


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the keyring nor the configuration of whoever runs the tests is touched."""
    monkeypatch.setenv("HOLDFAST_KEYRING", "file")
    for name in ("XDG_CONFIG_HOME", "WIN_PD_OVERRIDE_LOCAL_APPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "me"))


class Git:
    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.root,
            check=check,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
        )


@pytest.fixture
def git(workspace: Workspace) -> Git:
    require_program("git")
    made = Git(workspace.layout.root)
    made("init", "-q", "-b", "main")
    made("config", "user.name", "Ann")
    made("config", "user.email", "ann@example.org")
    return made
