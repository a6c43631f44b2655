"""What is for the owner only is closed to others, git gets nothing private, disks are told."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.durable.accounts import others_in, private_list
from holdfast.facade import Workspace
from holdfast.guard import disk_encryption
from tests.conftest import Runner, require_program

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has lists of access, not modes")


@POSIX
def test_what_others_may_read_is_shown_and_closed(workspace: Workspace, holdfast: Runner) -> None:
    layout = workspace.layout
    assert stat.S_IMODE(layout.state.stat().st_mode) == 0o700, "a new workspace is closed"
    opened = [layout.home / ".claude.json", layout.root / ".env", layout.state]
    opened[0].write_text("{}", encoding="utf-8")
    opened[1].write_text("A=1\n", encoding="utf-8")
    for path in opened:
        path.chmod(0o755 if path.is_dir() else 0o644)
    looked = json.loads(holdfast("status", "--json", cwd=layout.root).stdout)
    shown = {each["path"] for each in looked["protection"]["tooOpen"]}
    assert {str(path) for path in opened} <= shown
    assert "holdfast status --fix" in looked["next"]
    fixed = holdfast("status", "--fix", cwd=layout.root)
    assert f"{opened[1]}: 0644 is now 0600" in fixed.stdout
    for path in opened:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077
    again = json.loads(holdfast("status", "--json", cwd=layout.root).stdout)
    assert again["protection"]["tooOpen"] == []
    assert "holdfast status --fix" not in again["next"]


def test_the_gitignore_gets_what_it_lacks_and_tracked_files_are_told(
    workspace: Workspace, holdfast: Runner
) -> None:
    git, root = require_program("git"), workspace.layout.root
    path = root / ".gitignore"
    path.write_bytes(b"# mine\r\n.env")
    (root / ".env").write_text("A=1\n", encoding="utf-8")
    subprocess.run([git, "init", "-q"], cwd=root, check=True)
    subprocess.run([git, "add", "-f", ".env"], cwd=root, check=True)
    looked = json.loads(holdfast("status", "--json", cwd=root).stdout)["protection"]["git"]
    assert looked["tracked"] == [".env"]
    assert ".env" not in looked["missing"]
    assert "*.pem" in looked["missing"]
    holdfast("status", "--fix", cwd=root)
    assert path.read_bytes().startswith(b"# mine\r\n.env\r\n")
    for name in (".env.local", "deep/server.key", ".holdfast/x", ".claude/settings.local.json"):
        done = subprocess.run([git, "check-ignore", "-q", name], cwd=root, check=False)
        assert done.returncode == 0, name
    again = json.loads(holdfast("status", "--json", cwd=root).stdout)["protection"]["git"]
    assert again["missing"] == []
    holdfast("undo", "--yes", cwd=root)
    assert path.read_bytes() == b"# mine\r\n.env"


ANN = "S-1-5-21-1-2-3-1001"


def test_the_lists_of_access_of_windows() -> None:
    assert private_list(ANN, is_folder=True) == (
        f"D:P(A;OICI;FA;;;{ANN})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
    )
    assert others_in(private_list(ANN, is_folder=False), ANN) == []
    inherited = f"D:PAI(D;;FA;;;BG)(A;ID;0x1200a9;;;BU)(A;OICIIO;GA;;;CO)(A;;FA;;;{ANN})"
    assert others_in(inherited, ANN) == ["all users"]
    assert others_in(inherited, "S-1-5-21-1-2-3-500") == ["all users", ANN]
    assert others_in("D:NO_ACCESS_CONTROL", ANN) == ["everyone"]
    assert others_in("", ANN) == ["everyone"]


@pytest.mark.skipif(sys.platform != "win32", reason="only Windows has lists of access")
def test_a_file_is_closed_on_windows(tmp_path: Path) -> None:
    if sys.platform == "win32":
        from holdfast.durable.accounts import account_id, list_of_access, set_list_of_access

        path = tmp_path / "key.txt"
        path.touch()
        mine = f"D:P(A;;FA;;;{account_id()})"
        set_list_of_access(path, f"{mine}(A;;FR;;;WD)")
        assert others_in(list_of_access(path), account_id()) == ["everyone"]
        set_list_of_access(path, mine)
        assert others_in(list_of_access(path), account_id()) == []


def test_the_systems_answers_about_encryption() -> None:
    assert disk_encryption.from_fdesetup("FileVault is On.\n").state == "on"
    assert disk_encryption.from_fdesetup("FileVault is Off.\n").state == "off"
    assert disk_encryption.from_fdesetup("").state == "unknown"
    assert [disk_encryption.from_bitlocker(f"{n}\r\n").state for n in (1, 2)] == ["on", "off"]
    assert disk_encryption.from_bitlocker("").state == "unknown"
    assert disk_encryption.disk_encryption(Path.cwd()).state in ("on", "off", "unknown")


if sys.platform != "win32":

    def test_luks_is_found_below_a_logical_volume(tmp_path: Path) -> None:
        devices = tmp_path / "devices"
        for name in ("vg-home", "luks", "sda2"):
            (devices / name / "slaves").mkdir(parents=True)
            (devices / name / "dm").mkdir()
        (devices / "vg-home" / "slaves" / "luks").symlink_to(devices / "luks")
        (devices / "luks" / "slaves" / "sda2").symlink_to(devices / "sda2")
        (devices / "luks" / "dm" / "uuid").write_text("CRYPT-LUKS2-0-x\n", encoding="ascii")
        (devices / "vg-home" / "dm" / "uuid").write_text("LVM-x\n", encoding="ascii")
        numbers = tmp_path / "dev" / "block"
        numbers.mkdir(parents=True)
        (numbers / "253:1").symlink_to(devices / "vg-home")
        (numbers / "8:2").symlink_to(devices / "sda2")
        look = disk_encryption.block_device
        assert look(os.makedev(253, 1), tmp_path).state == "on"
        assert look(os.makedev(8, 2), tmp_path).state == "off"
        assert look(os.makedev(0, 40), tmp_path).state == "unknown"
