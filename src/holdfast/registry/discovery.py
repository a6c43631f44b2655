"""Finding agents in a folder: as files, as folders, and one level down in folders named as groups.

An agent is a Python file that is no test, set-up or private module, or a folder that holds one of
`profiles.MARKERS`. Links are never followed.
"""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.durable.names import check_identifier, long_path
from holdfast.durable.trees import is_junction
from holdfast.errors import UsageError, storage_errors
from holdfast.registry.checks import Problem
from holdfast.registry.profiles import MARKERS, Profile, profile_of_file, profile_of_folder

_PASSED_FILES = frozenset({"conftest.py", "setup.py", "noxfile.py"})
_PASSED_FOLDERS = frozenset({"node_modules", "venv", "env", "tests", "test", "docs"})
_NO_ID = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Candidate:
    """An agent that was found; `group` is None where its place names none."""

    id: str
    group: str | None
    path: Path
    profile: Profile

    @property
    def name(self) -> str:
        """What people call it; a declared name that only repeats the id is none."""
        declared = self.profile.name
        return declared if declared and declared != self.id else title_of(self.id)


@dataclass(frozen=True)
class Finding:
    """All that was found in `directory`, in the order of names, and what could not be read."""

    directory: Path
    candidates: tuple[Candidate, ...]
    problems: tuple[Problem, ...]


def scan(directory: Path, groups: tuple[str, ...]) -> Finding:
    """Look for agents in `directory`; nothing is imported, run or written.

    Raises `StorageError` when a folder cannot be listed.
    """
    own_group = directory.name if directory.name in groups else None
    candidates: list[Candidate] = []
    problems: list[Problem] = []
    for path, group in _places(directory, own_group, groups, problems):
        try:
            agent_id = id_of(path)
        except UsageError as error:
            problems.append(Problem(None, group, _shown(path), error.message))
            continue
        if _shown(path) != str(path):
            text = "its path is not UTF-8 text, so no JSON file can hold it"
            problems.append(Problem(agent_id, group, _shown(path), text))
            continue
        folder = stat.S_ISDIR(os.lstat(long_path(path)).st_mode)
        profile = profile_of_folder(path) if folder else profile_of_file(path)
        candidates.append(Candidate(agent_id, group, path, profile))
        problems += [Problem(agent_id, group, _shown(path), text) for text in profile.problems]
    return Finding(directory, tuple(candidates), tuple(problems))


def title_of(agent_id: str) -> str:
    """A name for people: ``director-agent`` becomes ``Director Agent``."""
    words = agent_id.replace("-", " ").replace("_", " ").split()
    return " ".join(word[:1].upper() + word[1:] for word in words)


def id_of(path: Path) -> str:
    """The id of the agent at `path`: its name, without ``.py``. Raises `UsageError`."""
    name = path.name.removesuffix(".py")
    return check_identifier(_NO_ID.sub("-", name).strip("-._"), "registry id")


def _places(
    directory: Path, own_group: str | None, groups: tuple[str, ...], problems: list[Problem]
) -> Iterator[tuple[Path, str | None]]:
    """Each file or folder that is an agent, with the group its place names."""
    for path, status in _listing(directory, problems):
        if _is_agent(path, status):
            yield path, own_group
        elif stat.S_ISDIR(status.st_mode) and own_group is None and path.name in groups:
            for inner, inner_status in _listing(path, problems):
                if _is_agent(inner, inner_status):
                    yield inner, path.name


def _listing(folder: Path, problems: list[Problem]) -> Iterator[tuple[Path, os.stat_result]]:
    """What stands in `folder`, in the order of names; links are reported and left out."""
    with storage_errors(folder, "look for agents"):
        names = sorted(os.listdir(long_path(folder)))  # noqa: PTH208
    for name in names:
        path = folder / name
        if name.startswith((".", "_")):
            continue
        try:
            status = os.lstat(long_path(path))
        except OSError as error:
            problems.append(Problem(None, None, _shown(path), error.strerror or str(error)))
            continue
        if stat.S_ISLNK(status.st_mode) or is_junction(status):
            problems.append(Problem(None, None, _shown(path), "a link, which is not followed"))
        else:
            yield path, status


def _is_agent(path: Path, status: os.stat_result) -> bool:
    name = path.name
    if stat.S_ISREG(status.st_mode):
        return name.endswith(".py") and not name.startswith("test_") and name not in _PASSED_FILES
    if not stat.S_ISDIR(status.st_mode) or name in _PASSED_FOLDERS:
        return False
    return any(_is_regular(path / marker) for marker in MARKERS)


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(long_path(path)).st_mode)
    except OSError:
        return False


def _shown(path: Path) -> str:
    """`path` as text that any JSON file can hold, whatever bytes its name is made of."""
    return os.fspath(path).encode("utf-8", "replace").decode("utf-8")
