"""Cleaning takes what can be made again, nothing else, and all of it comes back."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.facade import Workspace, open_workspace
from holdfast.upkeep.cleaning import CleanReport, Plan
from holdfast.upkeep.clutter import Ages
from holdfast.workspace.creation import create
from tests.conftest import Runner, require_program, was_killed

DAY = 86_400


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    create(tmp_path / "development", home=tmp_path)
    with open_workspace(tmp_path / "development") as opened:
        yield opened


def put(path: Path, *, days_old: float = 0, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    then = time.time() - days_old * DAY
    os.utime(path, (then, then))
    return path


def names(report: CleanReport, root: Path) -> set[str]:
    return {Path(item.path).relative_to(root).as_posix() for item in report.items}


def spared(report: CleanReport) -> dict[str, str]:
    return {Path(each.path).name: each.reason for each in report.spared}


def fill(root: Path) -> set[str]:
    """One of each kind; what of it may go."""
    put(root / "agents" / "bee" / "__pycache__" / "main.cpython-311.pyc")
    put(root / "agents" / "bee" / "main.py")
    put(root / "agents" / "old.pyc")
    put(root / "shared" / ".mypy_cache" / "3.11" / "cache.json")
    put(root / "mcp-servers" / "financial" / "package.json")
    put(root / "mcp-servers" / "financial" / "package-lock.json")
    put(root / "mcp-servers" / "financial" / "node_modules" / "left-pad" / "index.js")
    put(root / "logs" / "agent-bee.20250101T000000.000000Z.log.zst", days_old=31)
    put(root / "logs" / "agent-bee.log", days_old=2)
    return {
        "agents/bee/__pycache__",
        "agents/old.pyc",
        "shared/.mypy_cache",
        "mcp-servers/financial/node_modules",
        "logs/agent-bee.20250101T000000.000000Z.log.zst",
    }


def test_the_plan_names_what_can_be_made_again(workspace: Workspace) -> None:
    root = workspace.layout.root
    clutter = fill(root)
    report = Plan(workspace).report()
    assert names(report, root) == clutter
    assert all(item.size > 0 and item.files > 0 and item.back for item in report.items)
    assert all((root / name).exists() for name in clutter)
    assert not workspace.quarantine.list_entries()


def test_what_goes_comes_back_whole(workspace: Workspace) -> None:
    root = workspace.layout.root
    clutter = fill(root)
    before = sorted(path for path in root.rglob("*") if ".holdfast" not in path.parts)
    report = Plan(workspace).apply()
    assert report.applied
    assert not any((root / name).exists() for name in clutter)
    assert (root / "agents" / "bee" / "main.py").is_file()
    assert (root / "logs" / "agent-bee.log").is_file()
    for entry in report.quarantined:
        workspace.quarantine.restore(entry)
    assert sorted(path for path in root.rglob("*") if ".holdfast" not in path.parts) == before


def test_only_the_kinds_asked_for(workspace: Workspace) -> None:
    fill(workspace.layout.root)
    report = Plan(workspace, ["node-modules"]).report()
    assert names(report, workspace.layout.root) == {"mcp-servers/financial/node_modules"}
    with pytest.raises(UsageError, match="furniture"):
        Plan(workspace, ["furniture"])


def test_packages_stay_that_nothing_would_bring_back(workspace: Workspace) -> None:
    servers = workspace.layout.servers
    put(servers / "bare" / "node_modules" / "x.js")
    put(servers / "loose" / "node_modules" / "x.js")
    put(servers / "loose" / "package.json")
    report = Plan(workspace).report()
    assert report.items == []
    reasons = sorted(each.reason for each in report.spared)
    assert reasons[0].startswith("no lock file")
    assert reasons[1].startswith("no package.json")


def test_what_git_tracks_stays(workspace: Workspace) -> None:
    git = require_program("git")
    root = workspace.layout.root
    kept = put(root / "agents" / "bee" / "__pycache__" / "kept.pyc")
    put(root / "agents" / "wasp" / "__pycache__" / "other.pyc")
    nested = root / "shared" / "library"
    put(nested / "node_modules" / "mine" / "index.js")
    put(nested / "package.json")
    put(nested / "package-lock.json")
    for folder, path in ((root, kept), (nested, nested / "node_modules")):
        subprocess.run([git, "init", "-q", folder], check=True)
        subprocess.run([git, "-C", folder, "add", "-f", path], check=True)
    report = Plan(workspace).report()
    assert names(report, root) == {"agents/wasp/__pycache__"}
    told = {each.path: each.reason for each in report.spared}
    assert "kept.pyc" in told[str(kept.parent)]
    assert "node_modules/mine" in told[str(nested / "node_modules")]


def test_what_a_running_program_uses_stays(workspace: Workspace) -> None:
    root = workspace.layout.root
    fill(root)
    project = root / "mcp-servers" / "financial"
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=project, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        report = Plan(workspace, ["node-modules"]).report()
        process.communicate(b"")
    assert report.items == []
    assert f"process {process.pid}" in spared(report)["node_modules"]
    assert Plan(workspace, ["node-modules"]).report().items != []


def test_links_are_neither_followed_nor_taken(workspace: Workspace, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("NOT TESTED: making a link needs a privilege on Windows")
    outside = put(tmp_path / "outside" / "__pycache__" / "x.pyc")
    root = workspace.layout.root
    (root / "agents" / "out").symlink_to(outside.parent.parent)
    (root / "agents" / "__pycache__").symlink_to(outside.parent)
    (root / "agents" / "loop").symlink_to(root)
    workspace.layout.logs.rmdir()
    put(tmp_path / "elsewhere" / "old.log", days_old=90)
    workspace.layout.logs.symlink_to(tmp_path / "elsewhere")
    assert Plan(workspace).apply().items == []
    assert outside.is_file()
    assert (tmp_path / "elsewhere" / "old.log").is_file()


def test_odd_names_are_names(workspace: Workspace) -> None:
    odd = "line\nbreak" if sys.platform != "win32" else "ünï cödé"
    cache = put(workspace.layout.agents / odd / "__pycache__" / "x.pyc").parent
    assert len(Plan(workspace).apply().items) == 1
    assert not cache.exists()


def test_what_changed_since_the_plan_stays(workspace: Workspace, tmp_path: Path) -> None:
    cache = put(workspace.layout.agents / "__pycache__" / "x.pyc").parent
    vanished = put(workspace.layout.root / "y.pyc")
    plan = Plan(workspace)
    cache.rename(tmp_path / "moved")
    put(cache / "precious.txt")
    vanished.unlink()
    report = plan.apply()
    assert report.items == []
    assert (cache / "precious.txt").is_file()
    assert spared(report)["__pycache__"] == "it changed meanwhile"


def test_claude_codes_leftovers_go_when_they_are_old(workspace: Workspace) -> None:
    claude = workspace.layout.home / ".claude"
    live = put(claude / "shell-snapshots" / "snapshot-bash-1-live.sh", days_old=40)
    put(claude / "shell-snapshots" / "snapshot-bash-2-dead.sh", days_old=40)
    put(claude / "shell-snapshots" / "snapshot-bash-3-new.sh")
    put(claude / "debug" / "old.txt", days_old=40)
    put(claude / "CLAUDE.md", days_old=400)
    cache = workspace.layout.home / ".cache" / "claude-cli-nodejs" / "slug" / "mcp-logs-money"
    put(cache / "old.jsonl", days_old=40)
    code = "import sys; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, f"source {live}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as session:
        assert session.stdout is not None
        session.stdout.readline()
        report = Plan(workspace, ages=Ages(client=30)).apply()
        session.communicate(b"")
    gone = {Path(item.path).name for item in report.items}
    assert gone == {"snapshot-bash-2-dead.sh", "old.txt", "old.jsonl"}
    assert "reads it" in spared(report)[live.name]
    assert (claude / "CLAUDE.md").is_file()


@pytest.mark.parametrize("visit", [1, 2, 5])
def test_a_kill_leaves_each_thing_in_one_place(
    run_python: Runner, workspace: Workspace, visit: int
) -> None:
    root = workspace.layout.root
    clutter = fill(root)
    code = """
        import sys
        from holdfast.facade import open_workspace
        from holdfast.upkeep.cleaning import Plan
        Plan(open_workspace(sys.argv[1])).apply()
    """
    done = run_python(code, root, faults=f"quarantine.collected=crash@{visit}")
    assert was_killed(done), done.stderr
    taken = workspace.quarantine.root
    for name in clutter:
        places = [root / name, *(entry / "item" / name for entry in taken.iterdir())]
        assert sum(place.exists() for place in places) == 1
    Plan(workspace).apply()
    assert not any((root / name).exists() for name in clutter)


def test_a_folder_that_became_a_link_since_is_not_followed(
    workspace: Workspace, tmp_path: Path
) -> None:
    if sys.platform == "win32":
        pytest.skip("NOT TESTED: making a link needs a privilege on Windows")
    root = workspace.layout.root
    put(root / "agents" / "bee" / "__pycache__" / "main.pyc")
    plan = Plan(workspace)
    (root / "agents" / "bee").rename(tmp_path / "outside")  # the very same folder, now elsewhere
    (root / "agents" / "bee").symlink_to(tmp_path / "outside")
    report = plan.apply()
    assert report.items == []
    assert spared(report)["__pycache__"] == "it changed meanwhile"
    assert (tmp_path / "outside" / "__pycache__" / "main.pyc").exists()
