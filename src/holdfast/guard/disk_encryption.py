"""Whether the disk under a path is encrypted, as far as an ordinary user can tell."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import msgspec

if sys.platform == "win32":
    _NO_WINDOW = subprocess.CREATE_NO_WINDOW
else:
    _NO_WINDOW = 0

_LIMIT = 5.0  # seconds for the system's own program


class DiskEncryption(msgspec.Struct, frozen=True, rename="camel"):
    """The state, by which means, and why it is not known where it is not."""

    state: Literal["on", "off", "unknown"]
    means: str = ""
    reason: str = ""


def disk_encryption(path: Path) -> DiskEncryption:
    """The encryption of the disk that holds `path`. What cannot be told is "unknown"."""
    if sys.platform == "win32":
        return _bitlocker(path)
    elif sys.platform == "darwin":
        return from_fdesetup(_said(["/usr/bin/fdesetup", "status"]))
    else:
        return _luks(path)


def from_fdesetup(said: str) -> DiskEncryption:
    """FileVault, from what ``fdesetup status`` says."""
    if "FileVault is On" in said:
        return DiskEncryption("on", "FileVault")
    if "FileVault is Off" in said:
        return DiskEncryption("off", "FileVault")
    return DiskEncryption("unknown", "FileVault", "fdesetup gave no answer")


def from_bitlocker(said: str) -> DiskEncryption:
    """BitLocker, from the property of the drive that Explorer shows: 1 on, 2 off, 3 being done."""
    if said.strip() in ("1", "3", "5"):
        return DiskEncryption("on", "BitLocker")
    if said.strip() in ("0", "2"):
        return DiskEncryption("off", "BitLocker")
    return DiskEncryption("unknown", "BitLocker", "Windows gave no answer")


if sys.platform != "win32":

    def block_device(number: int, system: Path = Path("/sys")) -> DiskEncryption:
        """LUKS, from what Linux tells of the block device of this number and those below it."""
        device = system / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
        if os.major(number) == 0 or not device.exists():
            return DiskEncryption("unknown", "LUKS", "the file system lies on no block device")
        pending, seen, leaves = [device.resolve()], 0, []
        while pending and seen < 100:
            seen += 1
            here = pending.pop()
            uuid = here / "dm" / "uuid"
            if uuid.is_file() and uuid.read_text("ascii", "replace").startswith("CRYPT-"):
                leaves.append(True)
                continue
            below = here / "slaves"
            found = sorted(below.iterdir()) if below.is_dir() else []
            pending += [each.resolve() for each in found]
            if not found:
                leaves.append(False)
        if all(leaves):
            return DiskEncryption("on", "LUKS")
        # The disk may encrypt itself, the host of a virtual machine too, or the file system single
        # folders: none of that can be seen from here.
        return DiskEncryption(
            "off", "LUKS", "no LUKS below it; a disk that encrypts itself is not seen"
        )

    def _luks(path: Path) -> DiskEncryption:
        try:
            return block_device(path.stat().st_dev)
        except OSError as error:
            return DiskEncryption("unknown", "LUKS", error.strerror or "cannot be looked at")


def _bitlocker(path: Path) -> DiskEncryption:
    drive = path.drive
    if len(drive) != 2 or not drive[0].isalpha():
        return DiskEncryption("unknown", "BitLocker", "no drive of this machine")
    question = (
        f"(New-Object -ComObject Shell.Application).NameSpace('{drive}').Self"
        ".ExtendedProperty('System.Volume.BitLockerProtection')"
    )
    program = ["powershell", "-NoProfile", "-NonInteractive", "-Command", question]
    return from_bitlocker(_said(program))


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_LIMIT,
            check=False,
            creationflags=_NO_WINDOW,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
