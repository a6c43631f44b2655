"""Several destinations, kinds and keys, through the command."""

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from holdfast.workspace.creation import create
from tests.conftest import Runner


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The person's own key is not found."""
    for name in ("HOME", "XDG_CONFIG_HOME", "WIN_PD_OVERRIDE_LOCAL_APPDATA", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path / "person"))
    for name in ("HOLDFAST_IDENTITY", "HOLDFAST_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = create(tmp_path / "home" / "development", home=tmp_path / "home").layout.root
    (root / "agents" / "bee.py").write_text("print('hum')\n", encoding="utf-8")
    return root


class Door:
    """Runs commands in the workspace."""

    def __init__(self, runner: Runner, root: Path) -> None:
        self._runner, self._root = runner, root

    def __call__(
        self, *arguments: str | Path, status: int = 0, env: dict[str, str] | None = None
    ) -> Any:
        done = self.run(*arguments, "--json", env=env)
        assert done.returncode == status, done.stdout + done.stderr
        return json.loads(done.stdout or done.stderr)

    def run(
        self, *arguments: str | Path, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return self._runner(*arguments, cwd=self._root, env=env)


@pytest.fixture
def door(holdfast: Runner, root: Path) -> Door:
    return Door(holdfast, root)


def test_every_destination_gets_its_backup_and_one_that_fails_hides_none(
    tmp_path: Path, door: Door, root: Path
) -> None:
    door("backup", "create")
    for name, kind in (("disk", "snapshot"), ("weekly", "archive"), ("plain", "copy")):
        add = ("backup", "destinations", "add", name, tmp_path / "media" / name, "--kind", kind)
        if not (tmp_path / "media").exists():
            if kind == "snapshot":
                assert "does not exist" in door(*add, status=1)["error"]["message"]
            (tmp_path / "media").mkdir()
        door(*add)
    done = door("backup", "create", "--tag", "all")
    names = ["backups", "disk", "weekly", "plain"]
    assert [each["destination"] for each in done["destinations"]] == names
    assert done["healthy"]
    (tmp_path / "media" / "disk").rename(tmp_path / "unplugged")
    done = door("backup", "create", status=1)
    failed = [each for each in done["destinations"] if not each["healthy"]]
    assert [each["destination"] for each in failed] == ["disk"]
    assert "plugged in" in failed[0]["error"]["message"]
    assert not (tmp_path / "media" / "disk").exists()
    listed = door("backup", "list", status=1)
    assert [each["destination"] for each in listed] == ["backups"] * 3 + ["weekly"] * 2 + [
        "plain"
    ] * 2
    assert len(door("backup", "list", "--at", "backups", "--tag", "all")) == 1
    (state,) = door("backup", "destinations", "check", "disk", status=1)
    assert state["state"] == "absent"
    status = door("status")
    assert "the destination disk is not there" in "".join(status["unprotected"])
    (tmp_path / "unplugged").rename(tmp_path / "media" / "disk")
    (tmp_path / "media" / "disk" / "extra").mkdir()
    assert door("backup", "create", "--to", "disk")["healthy"]
    assert len(door("backup", "list", "--at", "disk")) == 2
    door("backup", "verify", "--full", "--at", "disk")
    settings = json.loads((root / "configs" / "holdfast.json").read_text(encoding="utf-8"))
    assert [each["name"] for each in settings["backups"]] == names


def test_another_disk_in_the_same_place_is_noticed(tmp_path: Path, door: Door) -> None:
    place = tmp_path / "disk"
    door("backup", "destinations", "add", "disk", place)
    place.rename(tmp_path / "first")
    assert "plugged in" in door("backup", "create", "--to", "disk", status=1)["error"]["message"]
    door("backup", "destinations", "check", "disk", "--anew")
    assert door("backup", "create", "--to", "disk")["healthy"]
    shutil.rmtree(place)
    (tmp_path / "first").rename(place)
    answer = door("backup", "create", "--to", "disk", status=1)
    assert "another one" in answer["error"]["message"]


def test_snapshots_are_synced_and_restored_from_the_other_place(
    tmp_path: Path, door: Door, root: Path
) -> None:
    door("backup", "create", "--tag", "one")
    recipient = door("backup", "key", "generate", "--file", tmp_path / "key.txt")["recipient"]
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "key.txt").stat().st_mode) == 0o600
    identity = {"HOLDFAST_IDENTITY": str(tmp_path / "key.txt")}
    door("backup", "destinations", "add", "safe", tmp_path / "safe", "--recipient", recipient)
    report = door("backup", "destinations", "sync", "backups", "safe")
    assert len(report["copied"]) == 1
    shutil.rmtree(tmp_path / "home" / "backups")
    (root / "agents" / "bee.py").unlink()
    locked = door("restore", "latest", "--at", "safe", status=3)
    assert locked["error"]["type"] == "LockedError"
    door("restore", "latest", "agents/bee.py", "--at", "safe", env=identity)
    assert (root / "agents" / "bee.py").read_text(encoding="utf-8") == "print('hum')\n"


def test_a_drill_of_another_destination(tmp_path: Path, door: Door) -> None:
    door("backup", "destinations", "add", "disk", tmp_path / "disk")
    door("backup", "create", "--to", "disk")
    assert door("backup", "drill", "--at", "disk")["healthy"]


@pytest.mark.parametrize("kind", ["archive", "copy"])
def test_archives_and_copies_are_made_and_restored(
    tmp_path: Path, door: Door, root: Path, kind: str
) -> None:
    report = door("backup", "create", "--kind", kind)
    path = Path(report["path"])
    assert path.parent == tmp_path / "home" / "backups"
    assert path.name.startswith("development-20")
    (root / "agents" / "bee.py").write_text("broken", encoding="utf-8")
    plan = door("restore", path, "--dry-run")
    assert {"path": "agents/bee.py", "action": "replace", "newer": True} in plan["plan"]
    refused = door("restore", path, "agents/bee.py", status=4)
    assert refused["error"]["type"] == "RefusedError"
    door("restore", path, "agents/bee.py", "--yes")
    assert (root / "agents" / "bee.py").read_text(encoding="utf-8") == "print('hum')\n"
    assert len(door("quarantine", "list")) == 1


def test_kind_git_saves_the_history(door: Door, root: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q", str(root)], check=True)
    env = {
        f"GIT_{who}_{what}": "a@b.c"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    assert door("backup", "create", "--kind", "git", env=env)["commit"]


def test_keys_are_shown_added_and_removed_and_no_secret_is_printed(
    tmp_path: Path, door: Door
) -> None:
    first = door("backup", "key", "generate")["recipient"]
    second = door("backup", "key", "generate", "--file", tmp_path / "second.txt")["recipient"]
    again = door("backup", "key", "generate", status=1)
    assert again["error"]["type"] == "ConflictError"
    door("backup", "destinations", "add", "safe", tmp_path / "safe", "--recipient", first)
    door("backup", "create", "--to", "safe")
    assert door("backup", "key", "add", second, "--at", "safe")["recipients"] == sorted(
        [first, second]
    )
    door("backup", "create", "--to", "safe")
    shown = door("backup", "key", "show", "--at", "safe")
    assert [len(each["recipients"]) for each in shown["keys"]] == [1, 2]
    assert shown["keyAtHand"]
    door("backup", "key", "remove", first, "--at", "safe")
    door("backup", "create", "--to", "safe")
    shown = door("backup", "key", "show", "--at", "safe")
    assert shown["keys"][-1]["recipients"] == [second]
    both = {"HOLDFAST_IDENTITY": str(tmp_path / "second.txt")}
    assert door("backup", "verify", "--full", "--at", "safe", env=both)["healthy"]
    text = door.run("backup", "key", "show", "--at", "safe").stdout
    assert "AGE-SECRET" not in text + json.dumps(shown)
    plain = door("backup", "create", "--to", "backups")
    assert plain["healthy"]
    assert "not encrypted" in door("backup", "key", "show", status=2)["error"]["message"]


def test_a_vault_with_a_passphrase(tmp_path: Path, door: Door) -> None:
    file = tmp_path / "passphrase"
    file.write_text("correct horse\n", encoding="utf-8")
    arguments = ("backup", "destinations", "add", "safe", tmp_path / "safe")
    locked = door(*arguments, "--passphrase", status=3)
    assert "passphrase is needed" in locked["error"]["message"]
    assert not (tmp_path / "safe" / "vault.json").exists()
    door(*arguments, "--passphrase-file", file)
    assert door("backup", "create", "--to", "safe")["proof"]["how"] == "sample"
    file.unlink()
    wrong = door("backup", "verify", "--at", "safe", status=3, env={"HOLDFAST_PASSPHRASE": "no"})
    assert "wrong key or passphrase" in wrong["error"]["message"]


def test_the_rule_is_told_honestly(tmp_path: Path, door: Door, root: Path) -> None:
    rule = door("status")["rule"]
    assert (rule["copies"], rule["kept"]) == (1, False)
    door("backup", "destinations", "add", "away", tmp_path / "away", "--elsewhere")
    door("backup", "create")
    rule = door("status")["rule"]
    assert (rule["copies"], rule["elsewhere"]) == (3, 1)
    assert rule["kept"] == (rule["devices"] > 1)
    assert "3-2-1 rule" in door.run("status").stdout
    (tmp_path / "away").rename(tmp_path / "unplugged")
    assert door("status")["rule"]["copies"] == 3  # a disk that is away is still a copy
    settings = root / "configs" / "holdfast.json"
    never = Path(tmp_path.anchor) / "no-such-disk" / "backups"
    document = json.loads(settings.read_bytes())
    document["backups"].append({"name": "never", "folder": str(never)})
    settings.write_text(json.dumps(document), encoding="utf-8")
    rule = door("status")["rule"]
    assert rule["copies"] == 3
    assert any(remark.startswith("never does not count") for remark in rule["remarks"])


def test_settings_take_a_list_an_object_and_a_string(
    tmp_path: Path, door: Door, root: Path
) -> None:
    settings = root / "configs" / "holdfast.json"
    for written in ("../b", {"folder": "../b"}, ["../b", {"name": "c", "folder": "../c"}]):
        settings.write_text(json.dumps({"backups": written}), encoding="utf-8")
        door("backup", "create")
    assert len(door("backup", "list")) == 4
    settings.write_text(json.dumps({"backups": {"folder": "../b", "kind": "tape"}}), "utf-8")
    assert door("backup", "list", status=3)["error"]["type"] == "UnreadableError"
    settings.write_text(json.dumps({"backups": [{"name": "x", "folder": "a"}] * 2}), "utf-8")
    door("backup", "list", status=2)
