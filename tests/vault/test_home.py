"""The files of the home that a snapshot holds beside the workspace."""

from pathlib import Path

import pytest

from holdfast.durable.quarantine import Quarantine
from holdfast.errors import NotFoundError
from holdfast.vault import SnapshotReport, Vault
from tests.vault.access import create, encrypted
from tests.vault.trees import write

pytestmark = pytest.mark.usefixtures("each_kind")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "development" / ".claude").mkdir(parents=True)
    (home / ".claude" / "projects").mkdir(parents=True)
    write(home / ".claude.json", b'{"mcpServers": {}}')
    write(home / ".bashrc", b"alias ll='ls -l'\n")
    write(home / ".claude" / "CLAUDE.md", b"# Be kind\n")
    write(home / ".claude" / "projects" / "talk.jsonl", b"{}\n")
    write(home / ".claude" / ".credentials.json", b"a secret of the person")
    (home / ".claude" / "sessions").mkdir()
    write(home / ".claude" / "sessions" / "talk.key", b"a key of a session")
    write(home / "diary.txt", b"private")
    write(home / "development" / "notes.md", b"work")
    write(home / "development" / ".bashrc", b"not the home's")
    return home


def take(vault: Vault, home: Path) -> SnapshotReport:
    return vault.snapshot(home / "development", home=home)


def test_only_what_belongs_to_the_work_is_taken_no_secret_in_clear(
    tmp_path: Path, home: Path
) -> None:
    vault = create(home / "backups")
    report = take(vault, home)
    assert report.healthy
    header, entries = vault.read("latest")
    assert [root.name for root in header.roots] == ["workspace", "home"]
    secret = {".claude/.credentials.json", ".claude/sessions/talk.key"} if encrypted() else set()
    assert {entry.path for entry in entries if entry.root == 1} == secret | {
        ".bashrc",
        ".claude",
        ".claude.json",
        ".claude/CLAUDE.md",
        ".claude/projects",
        ".claude/projects/talk.jsonl",
        ".claude/sessions",
    }
    assert entries[0].root == 1  # what matters most goes first
    (info,) = vault.snapshots()
    assert (info.root, info.home) == (str(home / "development"), str(home))
    assert vault.verify(full=True).healthy


def test_unchanged_files_of_both_trees_are_recognised(home: Path, tmp_path: Path) -> None:
    vault = create(tmp_path / "vault")
    take(vault, home)
    write(home / ".claude.json", b'{"mcpServers": {"a": {}}}')
    again = take(vault, home)
    files = again.snapshot.totals.files
    # Written a moment ago, all of them are too young to be trusted; nothing is stored again.
    assert files == 6 + 2 * encrypted()
    assert again.snapshot.totals.stored < 600 + 400 * encrypted()
    changed = {each.path: each.change for each in vault.diff(vault.snapshots()[0].id, "latest")}
    assert changed == {"~/.claude.json": "content"}
    assert vault.diff("latest") == []
    assert [each.path for each in vault.find(".bashrc").versions] == [".bashrc", "~/.bashrc"]


def test_restore_leaves_the_home_alone_until_it_is_named(home: Path, tmp_path: Path) -> None:
    vault = create(tmp_path / "vault")
    take(vault, home)
    write(home / ".bashrc", b"broken")
    (home / ".claude" / "CLAUDE.md").unlink()
    (home / "development" / "notes.md").unlink()
    quarantine = Quarantine(tmp_path / "quarantine")

    def restore(*paths: str, dry_run: bool = False) -> list[str]:
        report = vault.restore(
            "latest",
            paths,
            to=home / "development",
            home=home,
            quarantine=quarantine,
            dry_run=dry_run,
        )
        assert report.healthy
        return sorted(each.path for each in report.plan)

    assert restore() == ["notes.md"]
    assert (home / ".bashrc").read_bytes() == b"broken"
    assert restore("~", dry_run=True) == ["~/.bashrc", "~/.claude/CLAUDE.md"]
    assert restore("~/.claude") == ["~/.claude/CLAUDE.md"]
    assert (home / ".claude" / "CLAUDE.md").read_bytes() == b"# Be kind\n"
    assert restore("~/.bashrc", "notes.md") == ["~/.bashrc"]
    assert (home / ".bashrc").read_bytes() == b"alias ll='ls -l'\n"
    assert len(quarantine.list_entries()) == 1
    assert (home / ".claude" / ".credentials.json").read_bytes() == b"a secret of the person"
    with pytest.raises(NotFoundError):
        restore("~/diary.txt")


def test_a_snapshot_without_a_home_says_so(home: Path, tmp_path: Path) -> None:
    vault = create(tmp_path / "vault")
    vault.snapshot(home / "development")
    with pytest.raises(NotFoundError, match="home"):
        vault.restore("latest", ["~/.bashrc"], to=tmp_path / "out", home=home)


def test_a_home_that_is_part_of_the_workspace_is_taken_once(home: Path, tmp_path: Path) -> None:
    vault = create(tmp_path / "vault")
    assert vault.snapshot(home, home=home).healthy
    assert [root.name for root in vault.read("latest")[0].roots] == ["workspace"]


def test_a_lost_pack_is_made_again_from_the_home(home: Path, tmp_path: Path) -> None:
    vault = create(tmp_path / "vault")
    take(vault, home)
    for pack in (vault.path / "packs").rglob("*.zst*"):
        pack.unlink()
    assert vault.repair().healthy
    assert vault.verify(full=True).healthy
