"""Saving beside a staged index: what is in the commit, what stays as it was, what is refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.durable.files import remove_tree
from holdfast.durable.names import long_path
from holdfast.errors import (
    BusyError,
    ConflictError,
    NotFoundError,
    RefusedError,
    UnreadableError,
    UsageError,
)
from holdfast.history import History
from tests.history.conftest import Call, call_git

AGENT = "development/agents/director-agent.py"


def names_in(git: Call, rev: str = "HEAD") -> set[str]:
    return set(git("ls-tree", "-r", "-z", "--name-only", rev).split("\0")) - {""}


def test_a_save_commits_the_workspace_and_nothing_else(history: History, git: Call) -> None:
    report = history.save(message="Daily")
    assert report.healthy
    assert (report.branch, report.added.count, report.message) == ("master", 2, "Daily")
    assert names_in(git) == {"notes.txt", "development/.gitignore", AGENT}
    assert git("status", "--porcelain") == "?? .mcp.json\n"
    assert git("log", "-1", "--format=%an <%ae> %s") == "Ann <ann@example.org> Daily\n"
    assert git("cat-file", "blob", f"HEAD:{AGENT}") == "print('one')\r\n"
    git("fsck", "--strict")


def test_nothing_to_save_makes_no_commit(history: History, git: Call) -> None:
    first = history.save()
    again = history.save()
    assert (again.commit, again.changes, again.healthy) == (None, 0, True)
    assert git("rev-parse", "HEAD").strip() == first.commit


def test_what_is_staged_stays_staged_and_out_of_the_commit(
    history: History, home: Path, root: Path, git: Call
) -> None:
    history.save()
    (root / "agents" / "director-agent.py").write_bytes(b"staged\n")
    (home / "notes.txt").write_bytes(b"staged too\n")
    (root / "new.txt").write_bytes(b"staged new\n")
    git("add", AGENT, "notes.txt", "development/new.txt")
    (root / "agents" / "director-agent.py").write_bytes(b"on disk\n")
    (root / "agents" / "other.py").write_bytes(b"other\n")
    staged = git("diff", "--cached", "HEAD", "--name-only")
    history.save()
    assert git("cat-file", "blob", f"HEAD:{AGENT}") == "on disk\n"
    assert git("cat-file", "blob", "HEAD:notes.txt") == "tracked\n"
    assert git("cat-file", "blob", f":{AGENT}") == "staged\n"
    assert git("cat-file", "blob", ":notes.txt") == "staged too\n"
    assert staged.split() == [AGENT, "development/new.txt", "notes.txt"]
    # new.txt was saved just as it was staged, so that it is no longer a difference.
    assert git("diff", "--cached", "HEAD", "--name-only").split() == [AGENT, "notes.txt"]
    assert git("status", "--porcelain", "--", "development/agents/other.py") == ""


def test_a_staged_removal_stays_staged(history: History, root: Path, git: Call) -> None:
    history.save()
    git("rm", "-q", "--cached", AGENT)
    (root / "more.txt").write_bytes(b"more\n")
    history.save()
    assert AGENT in names_in(git)
    assert git("diff", "--cached", "--name-status").split() == ["D", AGENT]


def test_deleted_files_folders_for_files_and_back(history: History, root: Path, git: Call) -> None:
    (root / "a").write_bytes(b"file\n")
    (root / "b").mkdir()
    (root / "b" / "c").write_bytes(b"below\n")
    history.save()
    (root / "a").unlink()
    (root / "a").mkdir()
    (root / "a" / "x").write_bytes(b"below\n")
    shutil.rmtree(root / "b")
    (root / "b").write_bytes(b"file\n")
    (root / "agents" / "director-agent.py").unlink()
    report = history.save()
    assert report.deleted.paths == ["development/a", AGENT, "development/b/c"]
    assert {"development/a/x", "development/b"} <= names_in(git)
    assert git("status", "--porcelain") == "?? .mcp.json\n"


def test_named_paths_only_also_of_the_home(history: History, home: Path, git: Call) -> None:
    report = history.save([home / ".mcp.json"])
    assert report.added.paths == [".mcp.json"]
    assert names_in(git) == {"notes.txt", ".mcp.json"}


def test_named_paths_that_cannot_be_saved_are_errors(
    history: History, root: Path, tmp_path: Path
) -> None:
    (root / ".env").write_bytes(b"A=b\n")
    with pytest.raises(UsageError, match=r"left out by \.gitignore"):
        history.save([Path(".env")])
    with pytest.raises(NotFoundError, match="no such file"):
        history.save([Path("nowhere.txt")])
    with pytest.raises(UsageError, match="outside of the repository"):
        history.save([tmp_path / "elsewhere"])


def test_names_are_never_patterns(history: History, root: Path, git: Call) -> None:
    (root / "[a]").write_bytes(b"1")
    (root / "a").write_bytes(b"2")
    history.save([Path("[a]")])
    assert names_in(git) == {"notes.txt", "development/[a]"}


def test_gitignore_holds_and_a_workspace_without_one_has_the_usual_rules(
    history: History, root: Path, git: Call
) -> None:
    for name in ("logs/x.log", ".env", "node_modules/m/index.js", ".holdfast/state.db"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / ".gitignore").unlink()
    report = history.save()
    assert report.healthy
    assert names_in(git) == {"notes.txt", AGENT}


def test_a_first_save_in_a_repository_without_commits(tmp_path: Path, root: Path) -> None:
    remove_tree(root.parent / ".git")
    history = History(root, quarantine=None)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="history init"):
        history.save()
    assert history.init()
    assert not history.init()
    (root / "staged.txt").write_bytes(b"one\n")
    call_git(root, "add", "staged.txt")
    (root / "staged.txt").write_bytes(b"two\n")
    report = history.save()
    assert report.branch == "master"
    assert names_in(lambda *a: call_git(root, *a)) == {
        ".gitignore",
        "agents/director-agent.py",
        "staged.txt",
    }
    assert call_git(root, "show", ":staged.txt") == "one\n"


def test_init_brings_the_usual_gitignore(tmp_path: Path) -> None:
    root = tmp_path / "alone"
    root.mkdir()
    History(root, quarantine=None).init()  # type: ignore[arg-type]
    assert ".env" in (root / ".gitignore").read_text(encoding="utf-8").split()


@pytest.mark.parametrize("how", ["merge", "rebase", "cherry-pick", "bisect", "detached"])
def test_a_save_is_refused_while_something_is_in_progress(
    history: History, home: Path, git: Call, how: str
) -> None:
    git("switch", "-qc", "side")
    (home / "notes.txt").write_bytes(b"side\n")
    git("commit", "-qam", "side")
    git("switch", "-q", "master")
    (home / "notes.txt").write_bytes(b"master\n")
    git("commit", "-qam", "master")
    arguments = {
        "merge": ["merge", "side"],
        "rebase": ["rebase", "side"],
        "cherry-pick": ["cherry-pick", "side"],
        "bisect": ["bisect", "start", "HEAD", "HEAD~1"],
        "detached": ["switch", "-q", "--detach", "side"],
    }[how]
    subprocess.run(["git", *arguments], cwd=home, capture_output=True, check=False)
    before = git("status", "--porcelain=v2", "--branch")
    with pytest.raises(RefusedError) as caught:
        history.save()
    assert (how if how != "detached" else "no branch") in str(caught.value)
    assert git("status", "--porcelain=v2", "--branch") == before
    assert history.status().healthy is False


def test_files_in_conflict_without_a_merge_are_refused(
    history: History, home: Path, git: Call
) -> None:
    (home / "notes.txt").write_bytes(b"stashed\n")
    git("stash", "-q")
    (home / "notes.txt").write_bytes(b"other\n")
    git("commit", "-qam", "other")
    subprocess.run(["git", "stash", "pop"], cwd=home, capture_output=True, check=False)
    with pytest.raises(RefusedError, match=r"notes\.txt is in conflict"):
        history.save()
    assert history.status().conflicted.paths == ["notes.txt"]


def test_the_lock_of_a_dead_git_is_named(history: History, home: Path) -> None:
    lock = home / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(BusyError) as caught:
        history.save()
    assert caught.value.path is not None
    assert caught.value.path.name == "index.lock"
    assert lock.exists()
    assert any("index.lock" in warning for warning in history.status().warnings)


def test_a_branch_that_moves_meanwhile_is_a_conflict(
    history: History, root: Path, git: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.history import save

    def commit_in_between(name: str) -> None:
        if name == "history.save.committed":
            git("commit", "-q", "--allow-empty", "-m", "in between")

    monkeypatch.setattr(save, "fault_point", commit_in_between)
    index = (root.parent / ".git" / "index").read_bytes()
    with pytest.raises(ConflictError):
        history.save()
    assert git("log", "-1", "--format=%s") == "in between\n"
    assert (root.parent / ".git" / "index").read_bytes() == index


def test_a_nested_repository_is_reported_and_not_stored(
    history: History, root: Path, git: Call
) -> None:
    nested = root / "mcp-servers" / "nested"
    nested.mkdir(parents=True)
    call_git(nested, "init", "-q")
    (nested / "server.py").write_bytes(b"pass\n")
    call_git(nested, "add", ".")
    call_git(nested, "commit", "-qm", "own")
    report = history.save()
    assert report.nested == ["development/mcp-servers/nested"]
    assert report.healthy
    assert "160000" not in git("ls-tree", "-r", "HEAD")
    assert any("repository of its own" in each for each in history.status().warnings)


def test_a_submodule_stays_as_it_is(history: History, root: Path, git: Call) -> None:
    module = root / "module"
    module.mkdir()
    call_git(module, "init", "-q")
    (module / "x").write_bytes(b"x")
    call_git(module, "add", ".")
    call_git(module, "commit", "-qm", "one")
    git("add", "development/module")
    git("commit", "-qm", "with module")
    before = git("rev-parse", "HEAD:development/module")
    call_git(module, "commit", "-q", "--allow-empty", "-m", "two")
    report = history.save()
    assert report.nested == ["development/module"]
    assert report.healthy
    assert git("rev-parse", "HEAD:development/module") == before


def test_paths_beyond_windows_limit_are_in_the_commit(
    history: History, root: Path, git: Call
) -> None:
    folder = root / "/".join(["d" * 80] * 5)
    long_path(folder).mkdir(parents=True)
    long_path(folder / ("f" * 60)).write_bytes(b"deep")
    report = history.save()
    assert report.healthy
    assert any(name.endswith("f" * 60) for name in names_in(git))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file")
def test_a_name_git_refuses_is_told_and_the_rest_is_saved(
    history: History, root: Path, git: Call
) -> None:
    (root / "git~1").write_bytes(b"a name that git keeps out of trees")
    report = history.save()
    assert [problem.path for problem in report.problems] == ["development/git~1"]
    assert not report.healthy
    assert AGENT in names_in(git)
    assert not history.save().healthy  # as long as it is so


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="the superuser reads everything"
)
def test_a_file_that_cannot_be_read_is_told(history: History, root: Path, git: Call) -> None:
    (root / "closed").write_bytes(b"x")
    (root / "closed").chmod(0)
    report = history.save()
    assert [problem.path for problem in report.problems] == ["development/closed"]
    assert AGENT in names_in(git)


def test_a_dry_run_changes_nothing(history: History, home: Path, git: Call) -> None:
    before = sorted((home / ".git").rglob("*"))
    report = history.save(dry_run=True)
    assert (report.commit, report.added.count) == (None, 2)
    left = {path.name for path in set((home / ".git").rglob("*")) - set(before)}
    assert left == {"holdfast", "history.lock"}
    assert git("log", "--format=%s") == "first\n"


def test_a_damaged_repository_is_unreadable_not_missing(history: History, home: Path) -> None:
    (home / ".git" / "HEAD").write_bytes(b"")
    with pytest.raises(UnreadableError) as caught:
        history.save()
    assert caught.value.path == home / ".git"


def test_a_damaged_index_is_unreadable_and_kept(history: History, home: Path) -> None:
    index = home / ".git" / "index"
    index.write_bytes(index.read_bytes()[:20])
    with pytest.raises(UnreadableError):
        history.save()
    assert len(index.read_bytes()) == 20


def test_a_missing_object_is_unreadable(history: History, home: Path, git: Call) -> None:
    history.save()
    commit = git("rev-parse", "HEAD").strip()
    path = home / ".git" / "objects" / commit[:2] / commit[2:]
    path.chmod(0o644)
    path.write_bytes(b"damaged")
    with pytest.raises(UnreadableError):
        history.save()


def test_without_a_name_git_says_how_to_set_one(history: History, person: Path, git: Call) -> None:
    person.write_text("[user]\n\tuseConfigOnly = true\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"git config --global user\.name"):
        history.save()
    assert git("log", "--format=%s") == "first\n"


def test_a_commit_that_cannot_be_signed_is_not_made(
    history: History, person: Path, git: Call
) -> None:
    with person.open("a", encoding="utf-8") as file:
        file.write("[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = no-such-program\n")
    with pytest.raises(Exception, match="sign"):
        history.save()
    assert git("log", "--format=%s") == "first\n"


def test_variables_of_a_calling_git_do_not_lead_astray(
    history: History, git: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as inside_a_hook:
        inside_a_hook.setenv("GIT_DIR", str(tmp_path / "other"))
        inside_a_hook.setenv("GIT_INDEX_FILE", str(tmp_path / "other-index"))
        history.save()
    assert AGENT in names_in(git)


def test_a_linked_worktree_saves_to_its_own_branch(
    history: History, git: Call, tmp_path: Path
) -> None:
    history.save()
    git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    root = tmp_path / "side" / "development"
    (root / "only-here.txt").write_bytes(b"x")
    report = History(root, quarantine=None).save()  # type: ignore[arg-type]
    assert report.branch == "side"
    assert "development/only-here.txt" in names_in(git, "side")
    assert "development/only-here.txt" not in names_in(git, "master")


def test_only_push_sends_anything(history: History, root: Path, git: Call, tmp_path: Path) -> None:
    history.save()
    with pytest.raises(NotFoundError, match="local only"):
        history.push()
    call_git(tmp_path, "init", "-q", "--bare", "remote.git")
    remote = tmp_path / "remote.git"
    git("remote", "add", "origin", str(remote))
    (root / "more.txt").write_bytes(b"x")
    history.save()
    assert call_git(remote, "branch", "--list") == ""
    pushed = history.push()
    assert call_git(remote, "rev-parse", "master").strip() == pushed.commit
    status = history.status()
    assert (status.upstream, status.ahead, status.behind) == ("origin/master", 0, 0)
    git("commit", "-q", "--allow-empty", "--amend", "-m", "another history")
    with pytest.raises(ConflictError):
        history.push()
    assert call_git(remote, "rev-parse", "master").strip() == pushed.commit


def test_configurations_are_saved_alone_and_only_when_they_changed(
    history: History, home: Path, root: Path, git: Call
) -> None:
    (root / "configs" / "mcp").mkdir(parents=True)
    (root / "configs" / "mcp" / "mcp-registry.json").write_bytes(b"{}\n")
    (home / ".claude").mkdir()
    (home / ".claude" / "CLAUDE.md").write_bytes(b"# Be kind\n")
    (home / ".claude.json").write_bytes(b"{}\n")
    report = history.save_configurations(home)
    assert report.healthy
    committed = git("show", "--name-only", "--format=", "HEAD").split()
    assert committed == [
        ".claude/CLAUDE.md",
        ".mcp.json",
        "development/configs/mcp/mcp-registry.json",
    ]
    assert history.save_configurations(home).commit is None
    (root / "configs" / "mcp" / "mcp-registry.json").unlink()
    (root / "agents" / "director-agent.py").write_bytes(b"print('two')\n")
    assert history.save_configurations(home, dry_run=True).deleted.count == 1
    history.save_configurations(home)
    committed = git("show", "--name-only", "--format=", "HEAD").split()
    assert committed == ["development/configs/mcp/mcp-registry.json"]
