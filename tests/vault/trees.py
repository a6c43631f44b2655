"""Trees to take snapshots of, and how two of them are compared."""

import os
import stat
import sys
from pathlib import Path
from typing import Any

LONG_AGO = 1_600_000_000_123_456_700  # ns; ends in 00, as NTFS counts in 100 ns


def make_tree(root: Path) -> Path:
    """A small tree with everything that is hard to keep."""
    root.mkdir(parents=True)
    (root / "empty folder").mkdir()
    (root / "agents" / "deep" / "er").mkdir(parents=True)
    write(root / "agents" / "director-agent.py", b"print('hello')\n", 0o755)
    write(root / "agents" / "deep" / "er" / "data.bin", bytes(range(256)) * 40)
    write(root / "empty", b"")
    write(root / "twin", b"print('hello')\n")
    write(root / "Grüße 🐝.txt", "Grüße\n".encode())
    write(root / "large.bin", os.urandom(9 << 20))
    if sys.platform != "win32":
        write(root / "secret", b"s3cret\n", 0o600)
        write(root / "line\nbreak", b"odd\n")
        write(root / "back\\slash", b"odd too\n")
        write(Path(os.fsdecode(os.fsencode(root) + b"/no-utf8-\xff\\x")), b"odd as well\n")
        (root / "link").symlink_to("agents/director-agent.py")
        (root / "broken link").symlink_to("/nowhere/at/all")
        (root / "odd link").symlink_to(os.fsdecode(b"to-\xfe"))
        os.link(root / "twin", root / "twin of twin")
        (root / "empty folder").chmod(0o750)
    for folder in [root / "empty folder", root / "agents" / "deep", root / "agents"]:
        os.utime(folder, ns=(LONG_AGO, LONG_AGO))
    return root


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.write_bytes(data)
    path.chmod(mode)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))


def facts(root: Path) -> dict[str, Any]:
    """Everything a restore has to bring back, by relative path."""
    found: dict[str, Any] = {}
    names: dict[int, list[str]] = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder) / name
            key = path.relative_to(root).as_posix()
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                found[key] = ("link", str(path.readlink()))
            elif stat.S_ISDIR(status.st_mode):
                found[key] = ("folder", status.st_mode, status.st_mtime_ns)
            else:
                names.setdefault(status.st_ino, []).append(key)
                found[key] = ("file", status.st_mode, status.st_mtime_ns, path.read_bytes())
    found["hard links"] = sorted(sorted(group) for group in names.values() if len(group) > 1)
    return found
