"""The status, the log, commits, and files brought back."""

import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from holdfast.durable.quarantine import Quarantine
from holdfast.errors import MissingError, NotFoundError, UnreadableError
from holdfast.history import History
from holdfast.history.git import Git
from tests.history.conftest import Call, call_git

AGENT = Path("agents/director-agent.py")


def test_the_status_of_the_seed(history: History, home: Path) -> None:
    (home / "projects").mkdir()
    (home / "projects" / "x").write_bytes(b"x")
    status = history.status()
    assert (status.root, status.branch, status.remote) == (str(home), "master", None)
    assert status.untracked.paths == [".mcp.json", "development/", "projects/"]
    assert status.tracked == 0
    assert not status.healthy
    assert any("the whole workspace development/ is untracked" in w for w in status.warnings)
    history.save()
    status = history.status()
    assert (status.healthy, status.tracked, status.warnings) == (True, 2, [])


def test_the_status_counts_and_bounds(history: History, root: Path, git: Call) -> None:
    history.save()
    for number in range(5):
        (root / f"{number}.txt").write_bytes(b"x")
    (root / "servers").mkdir()
    (root / "servers" / "x").write_bytes(b"x")
    (root / AGENT).write_bytes(b"changed\n")
    (root / ".gitignore").write_bytes(b"\n")
    git("add", "development/.gitignore")
    status = history.status(limit=2)
    assert (status.untracked.count, len(status.untracked.paths)) == (7, 2)
    assert status.modified.paths == ["development/agents/director-agent.py"]
    assert status.staged.paths == ["development/.gitignore"]
    assert status.warnings == ["the whole directory development/servers/ is untracked"]


def test_looking_writes_nothing(history: History, home: Path) -> None:
    history.save()
    index = home / ".git" / "index"
    os.utime(home / "development" / AGENT)
    before = (index.stat().st_mtime_ns, index.read_bytes())
    history.status()
    history.log()
    assert (index.stat().st_mtime_ns, index.read_bytes()) == before


def test_without_a_repository_the_status_says_so(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    status = History(tmp_path / "alone", quarantine=Quarantine(tmp_path / "q")).status()
    assert (status.root, status.healthy) == (None, False)
    assert "holdfast history init" in status.warnings[0]


def test_a_damaged_repository_is_not_passed_over_for_the_one_above(
    home: Path, tmp_path: Path
) -> None:
    (home / "development" / ".git").mkdir()
    with pytest.raises(UnreadableError) as caught:
        History(home / "development", quarantine=Quarantine(tmp_path / "q")).status()
    assert caught.value.path == home / "development" / ".git"


def test_without_git_the_error_tells_how_to_get_it(
    history: History, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingError, match="install"):
        history.status()


@pytest.mark.skipif(sys.platform == "win32", reason="owners are given by POSIX calls here")
def test_a_repository_of_another_user_names_the_way_out(history: History, home: Path) -> None:
    if sys.platform != "win32":
        if os.geteuid() != 0:
            pytest.skip("NOT TESTED: only the superuser can give a folder away")
        for path in (home, home / ".git"):
            os.chown(path, 12345, 12345)
    with pytest.raises(UnreadableError, match=r"safe\.directory"):
        history.status()


def test_credentials_in_a_remote_are_not_shown(history: History, git: Call) -> None:
    git("remote", "add", "origin", "https://ann:token@example.org/x.git")
    assert history.status().remote == "https://example.org/x.git"


def test_the_log_is_of_the_workspace_or_of_a_path(history: History, root: Path, git: Call) -> None:
    history.save(message="One\n\nWith a body.")
    (root / AGENT).write_bytes(b"two\n")
    history.save(message="Two")
    assert [commit.subject for commit in history.log()] == ["Two", "One"]
    assert [commit.subject for commit in history.log(root / ".gitignore")] == ["One"]
    assert [commit.subject for commit in history.log(limit=1)] == ["Two"]
    detail = history.show("HEAD~1")
    assert detail.message == "One\n\nWith a body."
    assert {change.kind for change in detail.changes} == {"added"}
    assert [change.kind for change in history.show("HEAD").changes] == ["modified"]
    assert history.show(git("rev-list", "--max-parents=0", "HEAD").strip()).changes
    for unknown in ("nonsense", "--all", ""):
        with pytest.raises(NotFoundError):
            history.show(unknown)


def test_a_file_comes_back_and_what_was_there_is_kept(
    history: History, root: Path, tmp_path: Path
) -> None:
    content = bytes(range(256)) + b"\r\n\n"
    (root / AGENT).write_bytes(content)
    history.save()
    (root / AGENT).write_bytes(b"ruined")
    if sys.platform != "win32":
        (root / AGENT).chmod(0o600)
    plan = history.restore(AGENT, dry_run=True)
    assert [step.action for step in plan.paths] == ["replace"]
    assert (root / AGENT).read_bytes() == b"ruined"
    report = history.restore(AGENT)
    assert (root / AGENT).read_bytes() == content
    if sys.platform != "win32":
        assert stat.S_IMODE((root / AGENT).stat().st_mode) == 0o600
    kept = tmp_path / "quarantine" / report.quarantined[0] / "item"
    assert kept.read_bytes() == b"ruined"
    assert [step.action for step in history.restore(AGENT).paths] == ["unchanged"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither")
def test_programs_and_links_come_back_as_such(history: History, root: Path) -> None:
    (root / "run").write_bytes(b"#!/bin/sh\n")
    (root / "run").chmod(0o755)
    (root / "link").symlink_to("nowhere")
    history.save()
    (root / "run").unlink()
    (root / "link").unlink()
    report = history.restore(Path())
    assert report.healthy
    assert os.access(root / "run", os.X_OK)
    assert os.readlink(root / "link") == "nowhere"  # noqa: PTH115


def test_line_ends_that_attributes_ask_for_come_back(history: History, root: Path) -> None:
    (root / ".gitattributes").write_bytes(b"*.bat text eol=crlf\n")
    (root / "a.bat").write_bytes(b"echo\r\n")
    history.save()
    (root / "a.bat").unlink()
    assert history.read(Path("a.bat")) == b"echo\r\n"
    history.restore(Path("a.bat"))
    assert (root / "a.bat").read_bytes() == b"echo\r\n"


def test_a_removed_folder_comes_back_whole(history: History, root: Path) -> None:
    (root / "agents" / "more").mkdir()
    (root / "agents" / "more" / "x").write_bytes(b"x")
    history.save()
    shutil.rmtree(root / "agents")
    report = history.restore(Path("agents"))
    assert [step.action for step in report.paths] == ["create", "create"]
    assert (root / "agents" / "more" / "x").read_bytes() == b"x"


def test_a_file_gone_from_the_commit_names_the_one_that_had_it(
    history: History, root: Path
) -> None:
    history.save()
    (root / AGENT).unlink()
    gone = history.save()
    assert gone.commit is not None
    with pytest.raises(NotFoundError) as caught:
        history.restore(AGENT)
    assert f"{gone.commit[:12]}~1" in (caught.value.hint or "")
    assert history.restore(AGENT, rev=f"{gone.commit[:12]}~1").healthy
    assert (root / AGENT).is_file()
    with pytest.raises(NotFoundError, match="no commit ever had it"):
        history.restore(Path("never"))


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_nothing_is_written_through_a_link(history: History, root: Path, tmp_path: Path) -> None:
    history.save()
    (root / "agents").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / AGENT.name).unlink()
    (root / "agents").symlink_to(tmp_path / "elsewhere")
    report = history.restore(Path())
    assert [problem.path for problem in report.problems] == [f"development/{AGENT.as_posix()}"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_repository_in_the_workspace_itself(tmp_path: Path) -> None:
    root = tmp_path / "alone"
    (root / "agents").mkdir(parents=True)
    (root / "agents" / "a.py").write_bytes(b"a")
    history = History(root, quarantine=Quarantine(tmp_path / "q"))
    history.init()
    assert history.save().added.paths == [".gitignore", "agents/a.py"]
    (root / "agents" / "a.py").unlink()
    history.restore(Path())
    assert (root / "agents" / "a.py").read_bytes() == b"a"
    assert call_git(root, "status", "--porcelain") == ""


@pytest.mark.slow
def test_twenty_thousand_files_take_no_process_each(
    history: History, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = 4 if sys.platform == "win32" else 40
    for folder in range(folders):
        (root / f"d{folder}").mkdir()
        for number in range(500):
            (root / f"d{folder}" / f"{number}.txt").write_bytes(b"%d/%d\n" % (folder, number))
    calls: list[tuple[str, ...]] = []
    original = Git._command

    def counted(git: Git, arguments: tuple[str, ...]) -> list[str]:
        calls.append(arguments)
        return original(git, arguments)

    monkeypatch.setattr(Git, "_command", counted)
    report = history.save()
    assert report.healthy
    assert report.added.count == folders * 500 + 2
    assert 5 < len(calls) < 40
