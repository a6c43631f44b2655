"""The guard: what a tool destroyed comes back, and nothing else is touched."""

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import Workspace
from holdfast.guard.recording import answer
from holdfast.upkeep.undo import list_points, undo
from holdfast.upkeep.undo_parts import Choice
from tests.conftest import Runner
from tests.guard.conftest import Hook, shell
from tests.windows import WINE, posix_shell

POSIX_SHELL = pytest.mark.skipif(
    WINE or posix_shell() is None, reason="Git for Windows's sh is not here, or Wine: it hangs"
)
MATCHED = "Bash|PowerShell|Write|Edit|MultiEdit|NotebookEdit"


def bash(hook: Hook, root: Path, command: str, use: str = "toolu_1") -> None:
    """One Bash call: the hook before, the command, the hook after."""
    for when in ("before", "after"):
        done = hook(when, "Bash", {"command": command, "description": "Do it"}, use)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        if when == "before":
            shell(command, root)


@POSIX_SHELL
def test_what_rm_rf_destroyed_comes_back(workspace: Workspace, hook: Hook) -> None:
    root = workspace.layout.root
    bash(hook, root, "rm -rf agents/scout shared/plan.md && echo x > made.txt")
    assert not (root / "agents" / "scout").exists()
    bash(hook, root, "ls", "toolu_2")
    bash(hook, root, "git status || true", "toolu_3")
    (root / "since.txt").write_text("made since\n", encoding="utf-8")
    plan = undo(workspace, dry_run=True)
    assert plan.command.startswith("Bash: rm -rf agents/scout")
    back = [Path(step.path).relative_to(root).as_posix() for step in plan.steps]
    assert back == ["agents/scout", "shared/plan.md"]
    assert undo(workspace).healthy
    notes = (root / "agents" / "scout" / "notes.txt").read_text(encoding="utf-8")
    assert notes == "never committed\n"
    assert (root / "shared" / "plan.md").read_text(encoding="utf-8") == "# Plan\n"
    assert (root / "made.txt").exists()
    assert (root / "since.txt").exists()


@POSIX_SHELL
def test_what_a_command_overwrote_goes_back_and_what_it_made_if_asked(
    workspace: Workspace, hook: Hook
) -> None:
    root = workspace.layout.root
    bash(hook, root, "echo gone > shared/plan.md; mkdir -p new/deep; echo x > new/deep/file")
    undo(workspace, choice=Choice(new=True))
    assert (root / "shared" / "plan.md").read_text(encoding="utf-8") == "# Plan\n"
    assert not (root / "new").exists()
    made = list_points(workspace)[0].id
    undo(workspace, made)
    assert (root / "shared" / "plan.md").read_text(encoding="utf-8").strip() == "gone"
    assert (root / "new" / "deep" / "file").exists()


@POSIX_SHELL
def test_only_some_paths(workspace: Workspace, hook: Hook) -> None:
    root = workspace.layout.root
    bash(hook, root, "rm -rf agents/scout shared/plan.md")
    undo(workspace, choice=Choice(paths=("shared",)))
    assert (root / "shared" / "plan.md").exists()
    assert not (root / "agents" / "scout").exists()


@POSIX_SHELL
def test_a_file_that_changed_after_the_tool_stays(workspace: Workspace, hook: Hook) -> None:
    root = workspace.layout.root
    bash(hook, root, "rm -rf agents/scout; echo theirs > shared/plan.md")
    mine = root / "shared" / "plan.md"
    mine.write_text("mine\n", encoding="utf-8")
    later = time.time() + 60
    if sys.platform != "win32":
        # The time of a change cannot be set: the tool is made to have ended a minute ago.
        ended = workspace.points.root / list_points(workspace)[0].id / "ended.json"
        ended.write_text('{"endedAt": "2020-01-01T00:00:00Z"}', encoding="utf-8")
    else:
        os.utime(mine, (later, later))
    plan = undo(workspace)
    assert [Path(step.path).name for step in plan.left] == ["plan.md"]
    assert plan.left[0].remark == "changed since"
    assert mine.read_text(encoding="utf-8") == "mine\n"
    assert (root / "agents" / "scout").exists()


@POSIX_SHELL
def test_what_a_later_tool_took_away_is_not_the_earlier_ones(
    workspace: Workspace, hook: Hook
) -> None:
    root = workspace.layout.root
    bash(hook, root, "rm -rf agents/scout")
    bash(hook, root, "rm shared/plan.md", "toolu_2")
    first = list_points(workspace)[1]
    assert "agents/scout" in first.command
    undo(workspace, first.id)
    assert (root / "agents" / "scout").exists()
    assert not (root / "shared" / "plan.md").exists()


def test_a_written_file_goes_back_alone(workspace: Workspace, hook: Hook) -> None:
    root = workspace.layout.root
    plan = root / "shared" / "plan.md"
    for path, use in ((plan, "toolu_1"), (root / "shared" / "new.md", "toolu_2")):
        done = hook("before", "Write", {"file_path": str(path), "content": "x"}, use)
        assert (done.returncode, done.stdout) == (0, "")
        path.write_text("x", encoding="utf-8")
    undo(workspace)
    assert not (root / "shared" / "new.md").exists()
    assert plan.read_text(encoding="utf-8") == "x"
    undo(workspace)
    assert plan.read_text(encoding="utf-8") == "# Plan\n"


def test_a_file_outside_of_the_workspace_is_kept_too(
    workspace: Workspace, hook: Hook, tmp_path: Path
) -> None:
    outside = tmp_path / "elsewhere" / "thesis.txt"
    outside.parent.mkdir()
    outside.write_text("three years of work\n", encoding="utf-8")
    call = {"file_path": "thesis.txt", "old_string": "work", "new_string": "x"}
    assert hook("before", "Edit", call, cwd=outside.parent).stdout == ""
    outside.write_text("three years of x\n", encoding="utf-8")
    undo(workspace)
    assert outside.read_text(encoding="utf-8") == "three years of work\n"


@POSIX_SHELL
def test_files_of_the_home_come_back_too(workspace: Workspace, hook: Hook) -> None:
    home = workspace.layout.home
    bash(hook, workspace.layout.root, "rm ../.bashrc ../.claude/settings.json")
    undo(workspace)
    assert (home / ".bashrc").read_text(encoding="utf-8") == "alias ll='ls -l'\n"
    assert (home / ".claude" / "settings.json").exists()


@POSIX_SHELL
def test_calls_without_effect_leave_one_point_and_no_snapshot(
    workspace: Workspace, hook: Hook
) -> None:
    transcript = workspace.layout.home / ".claude" / "projects" / "a" / "b.jsonl"
    transcript.parent.mkdir(parents=True)
    bash(hook, workspace.layout.root, "true")
    before = len(workspace.vault.snapshots())
    for number in range(4):
        transcript.write_text(f"{number}\n", encoding="utf-8")  # as Claude Code does all the time
        bash(hook, workspace.layout.root, f"echo {number}", f"toolu_{number}")
    assert [each.command for each in list_points(workspace)][:1] == ["Bash: echo 3"]
    assert len([each for each in list_points(workspace) if each.source == "guard"]) == 1
    assert len(workspace.vault.snapshots()) == before


def test_a_point_that_cannot_be_made_is_said_and_blocks_nothing(
    workspace: Workspace, hook: Hook, holdfast: Runner
) -> None:
    shutil.rmtree(workspace.settings.backups)
    workspace.settings.backups.write_text("in the way", encoding="utf-8")
    done = hook("before", "Bash", {"command": "ls"})
    assert done.returncode == 0
    assert "no undo point was made" in json.loads(done.stdout)["systemMessage"]
    logged = holdfast("logs", "--component", "guard", "--json", "-w", workspace.layout.root)
    assert "No undo point was made" in logged.stdout


@pytest.mark.parametrize("data", [b"", b"{", b'{"tool_name": 3}', b"before", b"\xff\xfe"])
def test_input_that_is_none_blocks_nothing(workspace: Workspace, data: bytes) -> None:
    reply = answer(workspace.layout.root, b"before\n" + data, None)
    assert "not a tool call" in json.loads(reply.output)["systemMessage"]


def test_a_workspace_that_is_gone_blocks_nothing(tmp_path: Path) -> None:
    reply = answer(tmp_path / "gone", b'before\n{"tool_name": "Bash"}', None)
    assert "not a Holdfast workspace" in json.loads(reply.output)["systemMessage"]


def test_what_lies_in_the_agents_folder_is_not_imported(workspace: Workspace, hook: Hook) -> None:
    root = workspace.layout.root
    for name in ("json.py", "holdfast.py", "msgspec.py"):
        (root / name).write_text("raise SystemExit('hijacked')\n", encoding="utf-8")
    done = hook("before", "Bash", {"command": "ls"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@POSIX_SHELL
def test_the_oldest_snapshots_of_points_are_forgotten(workspace: Workspace, hook: Hook) -> None:
    workspace.layout.settings.write_text('{"undo": {"keepSnapshots": 2}}', encoding="utf-8")
    root = workspace.layout.root
    for number in range(5):
        bash(hook, root, f"echo {number} > shared/plan.md", f"toolu_{number}")
    assert len([s for s in workspace.vault.snapshots() if "undo" in s.tags]) == 2
    commands = [each.command for each in list_points(workspace) if each.source == "guard"]
    assert commands == [f"Bash: echo {n} > shared/plan.md" for n in (4, 3)]


def test_installing_keeps_what_is_there_and_uninstalling_gives_it_back(
    workspace: Workspace, holdfast: Runner
) -> None:
    root, path = workspace.layout.root, workspace.layout.home / ".claude" / "settings.json"
    before = path.read_bytes()
    dry = holdfast("guard", "install", "--dry-run", "--json", "-w", root)
    assert json.loads(dry.stdout)["changed"] is True
    assert path.read_bytes() == before
    assert holdfast("guard", "status", "-w", root).returncode == 1
    for _ in range(2):
        assert holdfast("guard", "install", "-w", root).returncode == 0
        settings = json.loads(path.read_text(encoding="utf-8"))
        assert settings["model"] == "opus"
        assert [group["matcher"] for group in settings["hooks"]["PreToolUse"]] == [MATCHED]
    assert holdfast("guard", "status", "-w", root).returncode == 0
    assert holdfast("guard", "uninstall", "-w", root).returncode == 0
    assert path.read_bytes() == before
    assert holdfast("undo", "--yes", "-w", root).returncode == 0
    assert holdfast("guard", "status", "-w", root).returncode == 0


def test_the_hooks_of_others_stay(workspace: Workspace, holdfast: Runner) -> None:
    root, path = workspace.layout.root, workspace.layout.home / ".claude" / "settings.json"
    other: dict[str, Any] = {"matcher": "Bash", "hooks": [{"type": "command", "command": "true"}]}
    mine = {"hooks": {"PreToolUse": [other], "Stop": [other]}}
    path.write_text(json.dumps(mine, indent=2), encoding="utf-8")
    for verb, count in (("install", 2), ("uninstall", 1)):
        assert holdfast("guard", verb, "-w", root).returncode == 0
        hooks = json.loads(path.read_text(encoding="utf-8"))["hooks"]
        assert hooks["PreToolUse"][0] == other
        assert len(hooks["PreToolUse"]) == count
        assert hooks["Stop"] == [other]


def test_problems_of_the_settings_are_told(workspace: Workspace, holdfast: Runner) -> None:
    root, path = workspace.layout.root, workspace.layout.home / ".claude" / "settings.json"
    assert holdfast("guard", "install", "-w", root).returncode == 0
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"model"', '"disableAllHooks": true, "model"'), encoding="utf-8")
    told = holdfast("guard", "status", "-w", root)
    assert told.returncode == 1
    assert "disableAllHooks" in told.stdout
    path.write_text('{"hooks": [', encoding="utf-8")
    assert holdfast("guard", "install", "-w", root).returncode == 3
    assert path.read_text(encoding="utf-8") == '{"hooks": ['


def test_a_home_without_settings_gets_some_and_loses_them_again(
    workspace: Workspace, holdfast: Runner
) -> None:
    root = workspace.layout.root
    assert holdfast("guard", "uninstall", "--scope", "workspace", "-w", root).returncode == 0
    assert holdfast("guard", "install", "--scope", "workspace", "-w", root).returncode == 0
    assert (root / ".claude" / "settings.json").is_file()
    assert holdfast("undo", "--yes", "-w", root).returncode == 0
    assert not (root / ".claude" / "settings.json").exists()
