"""File names and paths that mean the same on every system, and never lead out of a folder."""

import os
import re
import sys
from pathlib import Path, PurePosixPath

from holdfast.errors import UsageError

_RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def long_path(path: Path) -> Path:
    """`path` in the form that Windows takes beyond 260 characters; elsewhere `path` itself.

    The form (``\\\\?\\C:\\…``) also lets reserved names such as ``nul`` and names with trailing
    dots be read and removed.
    """
    if sys.platform != "win32":
        return path
    # Not os.path.abspath: Windows makes the device \\.\nul of a file called nul.
    text = os.path.normpath(path if path.is_absolute() else os.path.join(os.getcwd(), path))
    if text.startswith(("\\\\?\\", "\\\\.\\")):
        return Path(text)
    if not os.path.isabs(text):  # on another drive, relative to the current folder there
        text = os.path.abspath(text)
    if text.startswith("\\\\"):
        return Path("\\\\?\\UNC\\" + text[2:])
    return Path("\\\\?\\" + text)


def plain_path(path: Path) -> Path:
    """`path` without what `long_path` puts before it: the form that people and URLs have."""
    if sys.platform != "win32":
        return path
    text = str(path)
    if text.startswith("\\\\?\\UNC\\"):
        return Path("\\\\" + text[8:])
    return Path(text.removeprefix("\\\\?\\"))


def windows_problem(name: str) -> str | None:
    """Why Windows would refuse a file of this name, or None when it would not."""
    if not name:
        return "an empty name"
    if _RESERVED.fullmatch(name):
        return "a reserved device name"
    if _FORBIDDEN.search(name):
        return "a character that Windows does not allow"
    if name.endswith((".", " ")):
        return "a trailing dot or blank"
    return None


def check_identifier(value: str, what: str) -> str:
    """`value` if it can serve as an id and as a file name everywhere; else `UsageError`.

    Letters, digits, dot, hyphen and underscore, starting with a letter or digit, at most 128
    characters, no reserved Windows name. `what` names it in the message, e.g. ``"agent id"``.
    """
    if not _IDENTIFIER.fullmatch(value) or windows_problem(value):
        raise UsageError(
            f"{value!r} cannot be a {what}",
            hint="use letters, digits, '.', '-' and '_', starting with a letter or digit",
        )
    return value


def inside(root: Path, relative: str) -> Path:
    """The path of `relative` (with forward slashes) under `root`, never outside of it.

    Raises `UsageError` for an absolute path, a drive, ``..`` or an empty name. Links inside `root`
    are not looked at: whoever writes below must not follow them.
    """
    parts = PurePosixPath(relative).parts
    hostile = (
        not parts
        or relative.startswith("/")
        or "\0" in relative
        or any(part == ".." or (sys.platform == "win32" and _leads_out(part)) for part in parts)
    )
    if hostile:
        raise UsageError(f"the path {relative!r} leads out of its folder", path=root)
    return root.joinpath(*parts)


def _leads_out(part: str) -> bool:
    # Windows drops trailing dots and blanks, so that "... " may mean the folder above.
    return "\\" in part or ":" in part or not part.strip(" .")


def same_path(first: Path, second: Path) -> bool:
    """Whether both lead to one existing file or folder, however they are spelt."""
    try:
        return os.path.samefile(long_path(first), long_path(second))
    except OSError:
        return False


def is_within(path: Path, folder: Path) -> bool:
    """Whether `path` is `folder` or lies below it, after links are resolved."""
    real, top = os.path.realpath(path), os.path.realpath(folder)
    real, top = os.path.normcase(real), os.path.normcase(top)
    return real == top or real.startswith(top.rstrip(os.sep) + os.sep)
