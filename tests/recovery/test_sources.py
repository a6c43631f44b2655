"""Recovery from an archive, a copy, and an encrypted vault, without the workspace."""

import shutil
from pathlib import Path

import pytest

from holdfast.facade import open_workspace
from holdfast.logs import close_loggers
from holdfast.vault.identities import generate_identity
from holdfast.workspace.destinations import add_destination
from holdfast.workspace.settings import BackupKind, DestinationEntry
from tests.conftest import Runner
from tests.recovery.conftest import Saved, jobs_in, runs_in

DATABASE = ".holdfast/state.db"


def backed_up(saved: Saved, folder: Path, kind: BackupKind, *people: str) -> None:
    """Back up to a new destination of that kind, and lose the workspace."""
    with saved.opened() as workspace:
        entry = DestinationEntry(str(folder), name="away", kind=kind, recipients=people)
        add_destination(workspace.layout, entry)
    with saved.opened() as workspace:
        assert all(outcome.healthy for outcome in workspace.back_up(["away"]))
    close_loggers()
    shutil.rmtree(saved.root)


def check(new: Path) -> None:
    assert jobs_in(new) == ["before"]
    assert runs_in(new / DATABASE) == ["before"]
    with open_workspace(new) as workspace:
        assert workspace.registry.get("bee").path == str(new / "agents/bee.py")
        assert not workspace.registry.validate()
    assert not (new / ".holdfast/recovery/scratch").exists()


@pytest.mark.parametrize("kind", ["archive", "copy"])
def test_from_one_file_or_folder(
    saved: Saved, tmp_path: Path, holdfast: Runner, kind: BackupKind
) -> None:
    backed_up(saved, tmp_path / "away", kind)
    (path,) = (tmp_path / "away").glob("development-*")
    new = tmp_path / "new/work"
    plan = holdfast("recover", path, "--to", new, "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert not new.parent.exists()
    done = holdfast("recover", path, "--to", new)
    assert done.returncode == 0, done.stdout + done.stderr
    check(new)


@pytest.mark.parametrize("kind", ["archive", "snapshot"])
def test_what_is_encrypted_needs_its_key(
    saved: Saved, tmp_path: Path, holdfast: Runner, kind: BackupKind
) -> None:
    right, wrong = tmp_path / "right.txt", tmp_path / "wrong.txt"
    person = generate_identity(right)
    generate_identity(wrong)
    away, new = tmp_path / "away", tmp_path / "new"
    backed_up(saved, away, kind, person)
    if kind == "snapshot":
        asked = ["recover", "latest", "--from", away, "--to", new]
    else:
        (path,) = away.glob("*.tar.zst.age")
        asked = ["recover", path, "--to", new]
    for identity in ([], ["--identity", wrong]):
        refused = holdfast(*asked, *identity)
        assert refused.returncode == 3
        assert ("wrong key" if identity else "key is needed") in refused.stderr
        assert not new.exists()
    done = holdfast(*asked, "--identity", right)
    assert done.returncode == 0, done.stdout + done.stderr
    check(new)


def test_a_vault_is_no_copy(saved: Saved, tmp_path: Path, holdfast: Runner) -> None:
    done = holdfast("recover", saved.vault.path, "--to", tmp_path / "new")
    assert done.returncode == 2
    assert "--from" in done.stderr
