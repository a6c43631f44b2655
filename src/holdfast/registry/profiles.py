"""An agent's name and description, read from its files. Nothing is imported and nothing is run."""

import ast
import os
import stat
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from holdfast.durable.names import long_path
from holdfast.durable.sharing import patiently

MAIN_FILES = ("main.py", "agent.py", "__main__.py")
MARKERS = ("agent.json", *MAIN_FILES, "pyproject.toml", "package.json", "README.md")

_LONGEST_FILE = 1 << 20  # bytes; what is larger is no hand-written source
_LONGEST_TEXT = 500  # characters


@dataclass(frozen=True)
class Profile:
    """What an agent's files say about it, and why some of them could not be asked."""

    name: str | None
    description: str | None
    problems: tuple[str, ...]


class _SilentError(Exception):
    """A file that is there and cannot be read; the text says why."""


def profile_of_file(path: Path) -> Profile:
    """The profile of an agent that is one Python file."""
    return _collect([(path, _from_python)])


def profile_of_folder(folder: Path) -> Profile:
    """The profile of an agent that is a folder; the first file that says something wins."""
    sources: list[tuple[Path, _Reader]] = [(folder / "agent.json", _from_json)]
    sources += [(folder / name, _from_python) for name in MAIN_FILES]
    sources += [(folder / "pyproject.toml", _from_toml), (folder / "package.json", _from_json)]
    return _collect(sources)


_Reader = Callable[[bytes], Mapping[str, Any]]


def _collect(sources: list[tuple[Path, _Reader]]) -> Profile:
    facts: dict[str, str] = {}
    problems: list[str] = []
    for path, reader in sources:
        try:
            content = _read(path)
            found = reader(content) if content is not None else {}
        except _SilentError as error:
            problems.append(f"{path.name}: {error}")
            continue
        for key in ("name", "description"):
            text = _clean(found.get(key))
            if text:
                facts.setdefault(key, text)
    return Profile(facts.get("name"), facts.get("description"), tuple(problems))


def _read(path: Path) -> bytes | None:
    """The content of a regular file of ordinary size; None when there is no such file.

    A link is never followed, and a pipe never opened: neither is the agent's own file.
    """
    place = long_path(path)
    try:
        status = os.lstat(place)
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size > _LONGEST_FILE:
            raise _SilentError(f"{status.st_size} bytes are too large to look into")
        return patiently(place.read_bytes)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _SilentError(error.strerror or str(error)) from error


def _from_json(content: bytes) -> Mapping[str, Any]:
    try:
        data = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise _SilentError(f"not valid JSON: {error}") from error
    if not isinstance(data, dict):
        raise _SilentError("not a JSON object")
    return data


def _from_toml(content: bytes) -> Mapping[str, Any]:
    try:
        project = tomllib.loads(content.decode("utf-8-sig")).get("project", {})
    except (ValueError, RecursionError) as error:
        raise _SilentError(f"not valid TOML: {error}") from error
    return project if isinstance(project, dict) else {}


def _from_python(content: bytes) -> Mapping[str, Any]:
    """``AGENT = {…}``, ``NAME = "…"``, ``DESCRIPTION = "…"``, else the docstring's start."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the agent's bad escapes are not this program's
            module = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        cause = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise _SilentError(f"not valid Python{where}: {cause}") from error
    constants = dict(_constants(module))
    agent = constants.get("AGENT")
    facts: dict[str, Any] = dict(agent) if isinstance(agent, dict) else {}
    facts.setdefault("name", constants.get("NAME"))
    facts.setdefault("description", constants.get("DESCRIPTION"))
    if not isinstance(facts["description"], str):
        facts["description"] = (ast.get_docstring(module) or "").split("\n\n")[0]
    return facts


def _constants(module: ast.Module) -> Iterator[tuple[str, Any]]:
    """The module's constants of the names asked for, as far as they are literals."""
    for statement in module.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id in ("AGENT", "NAME", "DESCRIPTION"):
            try:
                yield target.id, ast.literal_eval(value)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                continue  # computed, not written down: only running it would tell


def _clean(value: Any) -> str | None:
    """`value` as one line of text that any JSON file can hold, or None when it is no text."""
    if not isinstance(value, str):
        return None
    line = " ".join(value.replace("\0", " ").split())
    line = line.encode("utf-8", "replace").decode("utf-8")
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 1] + "…"
