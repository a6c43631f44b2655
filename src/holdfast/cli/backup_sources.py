"""What a person names to restore from: an archive or a copy by its path, and who opens it."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.cli.terminal import Terminal
from holdfast.errors import UsageError

if TYPE_CHECKING:
    from holdfast.vault import Vault
    from holdfast.vault.identities import KeySource


def is_path(named: str) -> bool:
    """Whether `named` is an archive or a folder, and not the id of a snapshot."""
    if named.endswith((".tar.zst", ".tar.zst.age")):
        return True
    return "/" in named or os.sep in named or Path(named).is_dir()


def unpack(
    terminal: Terminal, path: Path, keys: "KeySource", private: Path, stack: ExitStack
) -> "tuple[Vault, str, bool]":
    """A vault of the archive or copy at `path`, for the time of `stack`, and its snapshot.

    What is refused of an archive is told, and then the last is False. The vault lies below the
    folder `private`.
    """
    from holdfast.vault import Vault
    from holdfast.vault.unpacked import unpacked

    if (path / "vault.json").is_file():
        hint = f"name a snapshot of it: holdfast recover latest --from {path} --to DIR"
        raise UsageError("this folder is a vault, no copy", path=path, hint=hint)
    opened = unpacked(path.absolute(), keys, private)
    repository, identity, problems = stack.enter_context(opened)
    for problem in problems:
        terminal.note(f"{problem.path}: {problem.reason}")
    return Vault(repository), identity, not problems
