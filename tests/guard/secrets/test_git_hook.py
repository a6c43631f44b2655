"""The pre-commit hook: no commit with a secret in it, and an existing hook goes on to work."""

import os
import stat
import sys
from pathlib import Path

import pytest

from holdfast.facade import Workspace
from tests.conftest import SOURCE, Runner
from tests.guard.secrets.conftest import Git
from tests.guard.secrets.test_scan import GITHUB
from tests.windows import WINE

FORMER = "#!/bin/sh\necho former ran\ntest ! -e stop\n"


@pytest.fixture(autouse=True)
def _source_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))


def test_a_commit_with_a_secret_is_refused(
    workspace: Workspace, holdfast: Runner, git: Git
) -> None:
    assert holdfast("guard", "install", "--git", cwd=git.root).returncode == 0
    (git.root / "leak.txt").write_text(f"{GITHUB}\n", encoding="utf-8")
    git("add", "leak.txt")
    refused = git("commit", "-m", "leak", check=False)
    assert refused.returncode != 0
    assert "leak.txt:1: GitHub token" in refused.stdout + refused.stderr
    (git.root / "leak.txt").write_text("nothing\n", encoding="utf-8")
    git("add", "leak.txt")
    git("commit", "-m", "fine")


@pytest.mark.skipif(WINE, reason="Wine: Git's sh hangs when it starts another program")
def test_a_commit_with_a_secret_is_refused_and_the_former_hook_runs_first(
    workspace: Workspace, holdfast: Runner, git: Git
) -> None:
    root = workspace.layout.root
    hook = root / ".git" / "hooks" / "pre-commit"
    hook.write_text(FORMER, encoding="utf-8", newline="\n")
    hook.chmod(0o755)
    dry = holdfast("guard", "install", "--git", "--dry-run", cwd=root)
    assert "would be installed" in dry.stdout
    assert hook.read_text(encoding="utf-8") == FORMER
    for _ in range(2):
        done = holdfast("guard", "install", "--git", cwd=root)
        assert done.returncode == 0, done.stderr
    (root / "leak.txt").write_text(f"{GITHUB}\n", encoding="utf-8")
    git("add", "leak.txt")
    refused = git("commit", "-m", "leak", check=False)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "former ran" in said
    assert "leak.txt:1: GitHub token" in said
    assert GITHUB not in said
    (root / "stop").touch()
    (root / "leak.txt").write_text("nothing\n", encoding="utf-8")
    git("add", "leak.txt")
    assert git("commit", "-m", "x", check=False).returncode != 0, "the former hook says no"
    (root / "stop").unlink()
    git("commit", "-m", "fine")
    (root / "leak.txt").write_text(f"{GITHUB}\n", encoding="utf-8")
    assert git("commit", "-m", "leak", "leak.txt", check=False).returncode != 0, "another index"
    assert holdfast("guard", "uninstall", "--git", cwd=root).returncode == 0
    assert hook.read_text(encoding="utf-8") == FORMER
    assert sorted(path.name for path in hook.parent.glob("pre-commit*")) == [
        "pre-commit",
        "pre-commit.sample",
    ]
    if sys.platform != "win32":
        assert stat.S_IMODE(hook.stat().st_mode) == 0o755
    git("commit", "-m", "leak", "leak.txt")


def test_without_a_former_hook_nothing_is_left_and_undo_takes_it_out(
    workspace: Workspace, holdfast: Runner, git: Git
) -> None:
    root = workspace.layout.root
    hook = git.root / ".git" / "hooks" / "pre-commit"
    holdfast("guard", "install", "--git", cwd=root)
    assert os.access(hook, os.X_OK)
    assert holdfast("undo", "--yes", cwd=root).returncode == 0
    assert not hook.exists()
    holdfast("guard", "install", "--git", cwd=root)
    holdfast("guard", "uninstall", "--git", cwd=root)
    assert not hook.exists()


def test_hooks_that_other_repositories_share_are_left_alone(
    workspace: Workspace, holdfast: Runner, git: Git, tmp_path: Path
) -> None:
    git("config", "core.hooksPath", str(tmp_path / "shared-hooks"))
    done = holdfast("guard", "install", "--git", cwd=workspace.layout.root)
    assert done.returncode == 4
    assert not (tmp_path / "shared-hooks").exists()
