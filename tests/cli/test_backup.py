"""``holdfast backup`` and ``holdfast restore`` as a person and a program use them."""

import json
from pathlib import Path

import pytest

from tests.conftest import Runner


@pytest.fixture
def workspace(holdfast: Runner, tmp_path: Path) -> Path:
    root = tmp_path / "home" / "development"
    made = holdfast("init", root, "--home", tmp_path / "home")
    assert made.returncode == 0, made.stderr
    (root / "agents" / "director-agent.py").write_text("print('hi')\n", encoding="utf-8")
    return root


def test_create_list_show_verify(holdfast: Runner, workspace: Path) -> None:
    assert "No snapshot yet" in holdfast("backup", "list", cwd=workspace).stderr
    assert holdfast("backup", "verify", cwd=workspace).returncode == 2
    made = holdfast("backup", "create", "--tag", "first", "--json", cwd=workspace)
    assert made.returncode == 0, made.stderr
    report = json.loads(made.stdout)
    assert report["healthy"] is True
    assert report["proof"]["files"] > 0
    (listed,) = json.loads(holdfast("backup", "list", "--json", cwd=workspace).stdout)
    assert listed["tags"] == ["first"]
    shown = json.loads(holdfast("backup", "show", "latest", "--json", cwd=workspace).stdout)
    assert "agents/director-agent.py" in {entry["path"] for entry in shown["entries"]}
    verified = holdfast("backup", "verify", "--full", "--json", cwd=workspace)
    assert (verified.returncode, json.loads(verified.stdout)["healthy"]) == (0, True)


def test_damage_is_status_one_and_named(holdfast: Runner, workspace: Path) -> None:
    holdfast("backup", "create", cwd=workspace)
    (pack,) = (workspace.parent / "backups").rglob("*.tar.zst")
    data = bytearray(pack.read_bytes())
    data[40] ^= 1
    pack.write_bytes(data)
    verified = holdfast("backup", "verify", "--full", cwd=workspace)
    assert verified.returncode == 1
    assert pack.name in verified.stderr


def test_restore_asks_before_it_replaces(holdfast: Runner, workspace: Path) -> None:
    agent = workspace / "agents" / "director-agent.py"
    holdfast("backup", "create", cwd=workspace)
    agent.write_text("broken", encoding="utf-8")
    plan = holdfast("restore", "latest", "--dry-run", "--json", cwd=workspace)
    assert [step["path"] for step in json.loads(plan.stdout)["plan"]] == [
        "agents/director-agent.py"
    ]
    refused = holdfast("restore", "latest", cwd=workspace)
    assert refused.returncode == 4
    assert agent.read_text(encoding="utf-8") == "broken"
    done = holdfast("restore", "latest", "agents", "--yes", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert agent.read_text(encoding="utf-8") == "print('hi')\n"
    (kept,) = json.loads(holdfast("quarantine", "list", "--json", cwd=workspace).stdout)
    assert kept["origin"] == str(agent)


def test_restore_to_another_place(holdfast: Runner, workspace: Path, tmp_path: Path) -> None:
    holdfast("backup", "create", cwd=workspace)
    out = tmp_path / "out"
    done = holdfast("restore", "latest", workspace / "agents", "--to", out, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in out.rglob("*.py")] == ["director-agent.py"]
    missing = holdfast("restore", "latest", "nowhere", "--json", cwd=workspace)
    assert missing.returncode == 2
    assert json.loads(missing.stderr)["error"]["type"] == "NotFoundError"


def test_diff_find_forget_prune_repair(holdfast: Runner, workspace: Path) -> None:
    agent = workspace / "agents" / "director-agent.py"
    first = json.loads(holdfast("backup", "create", "--json", cwd=workspace).stdout)
    agent.write_text("print('changed')\n", encoding="utf-8")
    changed = holdfast("backup", "diff", "latest", cwd=workspace)
    assert "M  agents/director-agent.py" in changed.stdout
    holdfast("backup", "create", cwd=workspace)
    found = json.loads(holdfast("backup", "find", "director-*", "--json", cwd=workspace).stdout)
    assert len(found["versions"]) == 2
    assert holdfast("backup", "forget", cwd=workspace).returncode == 2
    refused = holdfast("backup", "forget", "--keep-last", "1", cwd=workspace)
    assert refused.returncode == 4
    identity = first["snapshot"]["id"]
    done = holdfast("backup", "forget", "--keep-last", "1", "--yes", "--json", cwd=workspace)
    assert [info["id"] for info in json.loads(done.stdout)["forgotten"]] == [identity]
    assert holdfast("backup", "forget", "--undo", identity[:8], cwd=workspace).returncode == 0
    holdfast("backup", "forget", identity[:8], "--yes", cwd=workspace)
    assert holdfast("backup", "prune", cwd=workspace).returncode == 4
    pruned = json.loads(holdfast("backup", "prune", "--yes", "--json", cwd=workspace).stdout)
    assert pruned["snapshots"] == [identity]
    assert holdfast("backup", "repair", cwd=workspace).returncode == 0
    assert holdfast("backup", "verify", "--full", cwd=workspace).returncode == 0


def test_every_destination_is_thinned_by_itself(
    holdfast: Runner, workspace: Path, tmp_path: Path
) -> None:
    agent = workspace / "agents" / "director-agent.py"
    for name in ("disk", "nas", "later"):
        place = tmp_path / name / "vault"
        place.parent.mkdir()
        done = holdfast("backup", "destinations", "add", name, place, cwd=workspace)
        assert done.returncode == 0, done.stderr
    for number, name in enumerate(("disk", "nas", "nas", "disk", "disk")):
        agent.write_text(f"print({number})\n", encoding="utf-8")
        done = holdfast("backup", "create", "--to", name, cwd=workspace)
        assert done.returncode == 0, done.stderr
    keep = ("backup", "forget", "--keep-last", "1", "--everywhere")
    assert holdfast(*keep, cwd=workspace).returncode == 4
    done = holdfast(*keep, "--yes", "--json", cwd=workspace)
    assert done.returncode == 0, done.stderr
    found = {each["destination"]: len(each["forgotten"]) for each in json.loads(done.stdout)}
    assert found == {"disk": 2, "nas": 1, "later": 0}
    (tmp_path / "nas").rename(tmp_path / "unplugged")
    done = holdfast("backup", "prune", "--everywhere", "--yes", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "nas: not there" in done.stderr
    assert "disk: 2 forgotten snapshots removed" in done.stdout
    (tmp_path / "disk" / "vault" / "vault.json").write_text("{", encoding="utf-8")
    (tmp_path / "unplugged").rename(tmp_path / "nas")
    done = holdfast("backup", "prune", "--everywhere", "--yes", cwd=workspace)
    assert done.returncode == 1
    assert "nas: 1 forgotten snapshots removed" in done.stdout
    assert "disk: " in done.stderr
    assert holdfast(*keep, "--at", "nas", cwd=workspace).returncode == 2


def test_files_of_the_home_come_back_when_named(holdfast: Runner, workspace: Path) -> None:
    settings = workspace.parent / ".gitconfig"
    settings.write_text("[user]\n", encoding="utf-8")
    holdfast("backup", "create", cwd=workspace)
    shown = holdfast("backup", "show", "latest", cwd=workspace)
    assert "~/.gitconfig" in shown.stdout
    settings.write_text("lost", encoding="utf-8")
    assert holdfast("restore", "latest", "--yes", cwd=workspace).returncode == 0
    assert settings.read_text(encoding="utf-8") == "lost"
    refused = holdfast("restore", "latest", "~/.gitconfig", cwd=workspace)
    assert refused.returncode == 4
    assert "~/.gitconfig" in refused.stderr
    done = holdfast("restore", "latest", str(settings), "--yes", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert settings.read_text(encoding="utf-8") == "[user]\n"


def test_a_pattern_reaches_the_command_as_it_was_typed(holdfast: Runner, workspace: Path) -> None:
    for name in ("one.note", "two.note"):
        (workspace / name).write_text(name, encoding="utf-8")
    holdfast("backup", "create", cwd=workspace)
    found = holdfast("backup", "find", "*.note", cwd=workspace)
    assert "one.note" in found.stdout
    assert "two.note" in found.stdout


def test_a_drill_is_told_and_shown_by_status(holdfast: Runner, workspace: Path) -> None:
    holdfast("queues", "put", "jobs", "{}", cwd=workspace)
    holdfast("backup", "create", cwd=workspace)
    done = holdfast("backup", "drill", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "1 queue (1 waiting)" in done.stdout
    assert "all as it was" in done.stdout
    report = json.loads(holdfast("backup", "drill", "latest", "--json", cwd=workspace).stdout)
    assert report["healthy"] is True
    assert "(drill)" in holdfast("status", cwd=workspace).stdout


def test_a_failed_drill_is_status_one(holdfast: Runner, workspace: Path) -> None:
    holdfast("backup", "create", cwd=workspace)
    (pack,) = (workspace.parent / "backups").rglob("*.tar.zst")
    data = bytearray(pack.read_bytes())
    data[40] ^= 1
    pack.write_bytes(data)
    done = holdfast("backup", "drill", cwd=workspace)
    assert done.returncode == 1
    assert "NOT proven" in done.stdout
    assert "not as it was" in done.stderr


def test_what_is_left_out_is_shown_with_the_way_back(holdfast: Runner, workspace: Path) -> None:
    for name in ("node_modules", "__pycache__", "private"):
        (workspace / "agents" / name).mkdir()
    (workspace / ".holdfastignore").write_text("private/\n", encoding="utf-8")
    holdfast("backup", "create", cwd=workspace)
    shown = holdfast("backup", "show", "latest", cwd=workspace).stdout
    assert "agents/node_modules  (made again by: npm install)" in shown
    assert "agents/__pycache__  (made again by itself)" in shown
    assert "agents/private  (left out by your rules)" in shown
