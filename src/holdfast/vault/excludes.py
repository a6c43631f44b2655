"""What a snapshot leaves out, by gitignore's rules, fast enough for trees of a million files."""

from collections.abc import Sequence
from pathlib import Path

from pathspec import GitIgnoreSpec

from holdfast.durable.files import read_bytes
from holdfast.durable.names import long_path
from holdfast.errors import UnreadableError

IGNORE_FILE = ".holdfastignore"

# What the package managers and tools named bring back from what is kept.
REGENERATED = (
    "node_modules/",
    "__pycache__/",
    "*.py[cod]",
    ".venv/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".tox/",
    ".nox/",
    ".gradle/",
    ".turbo/",
    ".parcel-cache/",
    ".next/cache/",
    ".npm/_cacache/",
    ".eslintcache",
    ".DS_Store",
    "Thumbs.db",
)

_SPECIAL = set("*?[]\\!#/")


class Excludes:
    """Decides by path (relative, forward slashes) and whether it is a folder.

    A folder left out is not entered, so, as with git, nothing below it can be taken in again.
    Plain names and whole paths, most of all patterns, are looked up; only the rest is matched.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = [line for line in patterns if line.strip() and not line.startswith("#")]
        self._names: set[str] = set()
        self._folders: set[str] = set()
        self._paths: set[str] = set()
        self._folder_paths: set[str] = set()
        # What comes after a negation may depend on the order, so then nothing is looked up.
        ordered = any(line.startswith("!") for line in self.patterns)
        matched = [line for line in self.patterns if ordered or not self._take_plain(line)]
        self._suffixes, matched = _suffixes(matched, ordered)
        self._rules = GitIgnoreSpec.from_lines(matched) if matched else None

    def __bool__(self) -> bool:
        """Whether anything at all is left out."""
        return bool(self.patterns)

    def __call__(self, path: str, name: str, is_folder: bool) -> bool:
        """Whether `path`, whose last part is `name`, is left out."""
        if name in self._names or (is_folder and name in self._folders):
            return True
        if path in self._paths or (is_folder and path in self._folder_paths):
            return True
        if self._suffixes and name.endswith(self._suffixes):
            return True
        if self._rules is None:
            return False
        return self._rules.match_file(path + "/" if is_folder else path)

    def _take_plain(self, line: str) -> bool:
        name = line.rstrip()
        bare = name.removesuffix("/")
        if bare.startswith("/") and not set(bare) & (_SPECIAL - {"/"}) and bare == bare.strip():
            (self._folder_paths if name.endswith("/") else self._paths).add(bare[1:])
            return True
        if not bare or set(bare) & _SPECIAL or bare != bare.strip():
            return False
        (self._folders if name.endswith("/") else self._names).add(bare)
        return True


def _suffixes(patterns: list[str], ordered: bool) -> tuple[tuple[str, ...], list[str]]:
    """The patterns that are ``*.suffix``, as suffixes, and the others."""
    plain = [
        line[1:]
        for line in patterns
        if not ordered and line.startswith("*.") and not set(line[1:]) & (_SPECIAL | {" "})
    ]
    return tuple(plain), [line for line in patterns if line[1:] not in plain]


def excludes_for(root: Path, *, everything: bool, further: Sequence[str] = ()) -> Excludes:
    """The rules of the tree `root`: what can be regenerated, its ``.holdfastignore``, `further`.

    With `everything` only `further` counts. Raises `UnreadableError` for an ignore file that is
    not UTF-8 or holds a pattern that is none.
    """
    if everything:
        return Excludes(further)
    patterns = [*REGENERATED, *_ignore_file(root / IGNORE_FILE), *further]
    try:
        return Excludes(patterns)
    except ValueError as error:
        raise UnreadableError(f"not a pattern: {error}", path=root / IGNORE_FILE) from error


def _ignore_file(path: Path) -> list[str]:
    if not long_path(path).is_file():
        return []
    try:
        return read_bytes(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UnreadableError(f"not UTF-8 text: {error}", path=path) from error
