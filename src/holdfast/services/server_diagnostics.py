"""What is wrong with a server's settings, told without starting it."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from holdfast.claude.masking import literal_secrets
from holdfast.claude.variables import expand, missing_variables

_REMOTE = ("http", "sse")
_TYPES = ("stdio", *_REMOTE)
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PYTHON = re.compile(r"python[\d.]*(\.exe)?$|^py(\.exe)?$", re.IGNORECASE)
_NODE = re.compile(r"^node(\.exe)?$", re.IGNORECASE)


class Diagnosis(NamedTuple):
    """One thing that is wrong; `blocks` when the server cannot work so."""

    problem: str
    hint: str | None = None
    blocks: bool = True


def diagnose(
    name: str,
    server: Any,
    *,
    root: Path,
    environment: Mapping[str, str],
    platform: str = sys.platform,
) -> list[Diagnosis]:
    """Everything wrong with one server's settings as they stand in a client's file or the registry.

    `root` is where it would be started, `environment` what it would find there.
    """
    if not isinstance(server, dict):
        return [Diagnosis("an object is expected")]
    return [
        *_of_name(name),
        *_of_kind(server, root, environment, platform),
        *_of_variables(server, environment),
        *_of_secrets(server),
    ]


def _of_name(name: str) -> Iterator[Diagnosis]:
    if not _NAME.fullmatch(name):
        yield Diagnosis(
            f"the name {name!r} is not one that the client takes",
            "use letters, digits, '-' and '_'",
        )
    elif name.casefold() == "workspace":
        yield Diagnosis("the name 'workspace' is reserved by the client", "choose another")


def _of_kind(
    server: dict[str, Any], root: Path, environment: Mapping[str, str], platform: str
) -> Iterator[Diagnosis]:
    kind = server.get("type")
    if kind is not None and kind not in _TYPES:
        yield Diagnosis(f"the type {kind!r} is unknown", f"use {', '.join(_TYPES)}")
    elif "url" in server and "command" not in server:
        if kind not in _REMOTE:
            yield Diagnosis('has a "url" but no "type" (http or sse)', 'add "type": "http"')
        if not isinstance(server["url"], str) or "://" not in expand(server["url"], environment):
            yield Diagnosis("url: an address such as http://127.0.0.1:8000/mcp is expected")
        yield from _of_texts(server, "headers")
    elif kind in _REMOTE:
        yield Diagnosis(f'has the type {kind} but no "url"', 'add a "url"')
    else:
        yield from _of_command(server, root, environment, platform)
        yield from _of_texts(server, "env")


def _of_texts(server: dict[str, Any], key: str) -> Iterator[Diagnosis]:
    value = server.get(key, {})
    if not isinstance(value, dict):
        yield Diagnosis(f"{key}: an object of strings is expected")
    else:
        for name, text in value.items():
            if not isinstance(text, str):
                yield Diagnosis(f"{key}.{name}: a string is expected", "write it in quotes")


def _of_command(
    server: dict[str, Any], root: Path, environment: Mapping[str, str], platform: str
) -> Iterator[Diagnosis]:
    command = server.get("command")
    arguments = server.get("args", [])
    if not isinstance(command, str) or not command:
        yield Diagnosis('has neither a "command" nor a "url"')
        return
    if not isinstance(arguments, list) or not all(isinstance(each, str) for each in arguments):
        yield Diagnosis("args: an array of strings is expected", 'write it as ["-m", "server"]')
        return
    command = expand(command, environment)
    arguments = [str(expand(each, environment)) for each in arguments]
    if "${" in command:
        return  # told as a missing variable
    own_path = {**environment, **expand(_texts(server.get("env")), environment)}.get("PATH")
    found = find_command(command, root, own_path)
    if found is None:
        yield Diagnosis(
            f"the command {command!r} is not found",
            "install it, or give its full path"
            + (": the command and its arguments are separate" if " " in command else ""),
        )
        return
    if platform == "win32" and Path(command).stem.lower() in ("npx", "npm", "uvx.cmd"):
        yield Diagnosis(
            f"bare {command} does not start on Windows",
            f'use "command": "cmd", "args": ["/c", "{command}", …]',
        )
    if _is_relative(command):
        yield Diagnosis(
            f"the command {command!r} is a relative path",
            "the client starts it wherever it is itself: give the full path",
            blocks=False,
        )
    yield from _of_program(found, arguments, root)


def _of_program(found: Path, arguments: Sequence[str], root: Path) -> Iterator[Diagnosis]:
    """What the interpreters need that most servers are written in."""
    script = next((each for each in arguments if not each.startswith("-")), None)
    if _PYTHON.search(found.name):
        if "-m" in arguments[:-1]:
            module = arguments[arguments.index("-m") + 1]
            if not _has_module(str(found), module, str(root)):
                yield Diagnosis(
                    f"the Python module {module!r} is not installed",
                    f"{found} -m pip install the package that holds it",
                )
        elif script is not None and "-c" not in arguments and script.endswith(".py"):
            yield from _of_script(script, root)
    elif _NODE.search(found.name) and script is not None:
        yield from _of_script(script, root)
        folder = _package_of(root / script)
        if folder is not None and _lacks_modules(folder):
            yield Diagnosis(f"node_modules is missing in {folder}", f"cd {folder} && npm install")


def _of_script(script: str, root: Path) -> Iterator[Diagnosis]:
    if not (root / script).is_file():
        yield Diagnosis(
            f"the file {script!r} is not there", "correct the path, or restore the file"
        )
    elif _is_relative(script) or not Path(script).is_absolute():
        yield Diagnosis(
            f"{script!r} is a relative path",
            "the client starts it wherever it is itself: give the full path",
            blocks=False,
        )


def _of_variables(server: Mapping[str, Any], environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    missing = missing_variables(server, environment)
    if missing:
        yield Diagnosis(
            f"missing environment variables: {', '.join(missing)}",
            f"set {missing[0]}, or give it a default: ${{{missing[0]}:-…}}",
        )


def _of_secrets(server: Mapping[str, Any]) -> Iterator[Diagnosis]:
    for keys in literal_secrets(server):
        name = re.sub(r"\W+", "_", keys[-1]).upper() if keys[0] in ("env", "headers") else "NAME"
        yield Diagnosis(
            f"{'.'.join(keys)} is a literal secret",
            f"write ${{{name}}} instead, and set the variable",
            blocks=False,
        )


def find_command(command: str, root: Path, path: str | None) -> Path | None:
    """The program that `command` starts, or None."""
    found = shutil.which(command, path=path)
    if found is not None:
        return Path(found)
    beside = root / command
    return beside if ("/" in command or os.sep in command) and beside.is_file() else None


def _is_relative(text: str) -> bool:
    return ("/" in text or os.sep in text) and not Path(text).is_absolute()


def _texts(value: Any) -> dict[str, str]:
    return value if isinstance(value, dict) else {}


def _package_of(script: Path) -> Path | None:
    """The nearest folder upwards with a package.json, if any."""
    for folder in script.parents[:4]:
        if (folder / "package.json").is_file():
            return folder
    return None


def _lacks_modules(folder: Path) -> bool:
    """Whether a package needs others, and none is installed."""
    text = (folder / "package.json").read_text(encoding="utf-8", errors="replace")
    needs = re.search(r'"dependencies"\s*:\s*\{\s*"', text) is not None
    return needs and not any(
        (above / "node_modules").is_dir() for above in (folder, *folder.parents)
    )


@cache
def _has_module(python: str, module: str, root: str) -> bool:
    top = module.partition(".")[0]
    if Path(python) == Path(sys.executable):
        try:
            found = importlib.util.find_spec(top) is not None
        except (ImportError, ValueError):
            found = False
        return found or (Path(root) / top).is_dir() or (Path(root) / f"{top}.py").is_file()
    code = "import importlib.util,sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    try:
        done = subprocess.run(
            [python, "-c", code, top], cwd=root, capture_output=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return True  # it will be told when it is started
    return done.returncode == 0
