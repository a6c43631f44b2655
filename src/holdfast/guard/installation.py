"""The guard's hooks in Claude Code's settings: set, taken out, looked at."""

import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec

from holdfast.claude.guest_file import Edit, GuestFile, Put, Remove
from holdfast.durable.asking import is_watched
from holdfast.errors import HoldfastError, NotFoundError, UnreadableError
from holdfast.facade import Workspace
from holdfast.guard.calls import FILE_TOOLS, SHELLS

Scope = Literal["home", "workspace"]

_MODULE = "holdfast.guard.hook"
_BEFORE, _AFTER = "PreToolUse", ("PostToolUse", "PostToolUseFailure")
_TIMEOUT = 120  # seconds; Claude Code then goes on without the hook


class Installed(msgspec.Struct, frozen=True, rename="camel"):
    """One settings file: whether the hooks are in it, and what is wrong with them."""

    scope: str
    path: str
    installed: bool
    problems: list[str]


class GuardStatus(msgspec.Struct, frozen=True, rename="camel"):
    """The guard as a whole; healthy when it is in place and nothing is wrong."""

    healthy: bool
    settings: list[Installed]
    watched: bool
    points: int
    last_point: str | None


def settings_file(workspace: Workspace, scope: Scope) -> Path:
    """The settings that `scope` means: those of every project, or those of the workspace."""
    folder = workspace.layout.home if scope == "home" else workspace.layout.root
    return folder / ".claude" / "settings.json"


def install(workspace: Workspace, scope: Scope, *, dry_run: bool = False) -> Edit:
    """Set the hooks; what else is in the file stays as it is. Raises as `GuestFile.edit`."""
    return _change(workspace, scope, _wanted(workspace), dry_run=dry_run)


def uninstall(workspace: Workspace, scope: Scope, *, dry_run: bool = False) -> Edit:
    """Take the hooks out again. Raises as `GuestFile.edit`."""
    return _change(workspace, scope, {}, dry_run=dry_run)


def guard_status(workspace: Workspace) -> GuardStatus:
    """Whether the hooks are in place, for which settings, and when they last made a point."""
    settings = [_look(workspace, "home"), _look(workspace, "workspace")]
    points = [each for each in workspace.points.list() if each.header.source == "guard"]
    return GuardStatus(
        healthy=any(each.installed for each in settings)
        and not any(each.problems for each in settings),
        settings=settings,
        watched=is_watched(str(workspace.layout.schedule)),
        points=len(points),
        last_point=points[-1].header.started_at.isoformat() if points else None,
    )


def _change(workspace: Workspace, scope: Scope, wanted: dict[str, Any], *, dry_run: bool) -> Edit:
    file = GuestFile(settings_file(workspace, scope), lock="none")

    def changes(before: bytes | None) -> list[Put | Remove]:
        hooks = {} if before is None else _hooks(file.read(), file.path)
        after = {event: groups for event in hooks if (groups := _without_ours(hooks[event]))}
        for event, group in wanted.items():
            after.setdefault(event, []).append(group)
        if not after:
            return [Remove(("hooks",))]
        gone = [Remove(("hooks", event)) for event in hooks if event not in after]
        kept = [Put(("hooks", event), after[event]) for event in after]
        return [*gone, *(put for put in kept if hooks.get(put.keys[1]) != put.value)]

    if dry_run or (not wanted and not file.path.exists()):
        present = file.read_bytes() if file.path.exists() else None
        return file.plan(changes(present) if wanted or present else [])
    return file.edit(changes)


def _wanted(workspace: Workspace) -> dict[str, Any]:
    """The hooks by event, as Claude Code's settings have them."""
    before = _group("|".join((*SHELLS, *FILE_TOOLS)), _command(workspace, "before"))
    after = _group("|".join((*SHELLS, *FILE_TOOLS)), _command(workspace, "after"))
    return {_BEFORE: before, **dict.fromkeys(_AFTER, after)}


def _group(matcher: str, command: str) -> dict[str, Any]:
    hook = {"type": "command", "command": command, "timeout": _TIMEOUT}
    return {"matcher": matcher, "hooks": [hook]}


def _command(workspace: Workspace, when: str) -> str:
    """The line for the shell: -P keeps what lies in the agent's folder from being imported."""
    arguments = [sys.executable, "-P", "-m", _MODULE, str(workspace.layout.root), when]
    if sys.platform == "win32":  # Git's bash or cmd: both understand this
        return " ".join(f'"{each.replace(chr(92), "/")}"' for each in arguments)
    return shlex.join(arguments)


def _hooks(settings: dict[str, Any], path: Path) -> dict[str, list[Any]]:
    hooks = settings.get("hooks", {})
    if not isinstance(hooks, dict) or not all(isinstance(each, list) for each in hooks.values()):
        raise UnreadableError("hooks is not an object of lists", path=path)
    return hooks


def _without_ours(groups: list[Any]) -> list[Any]:
    """The groups without our hooks; a group that held nothing else goes."""
    kept = []
    for group in groups:
        hooks = group.get("hooks") if isinstance(group, dict) else None
        if not isinstance(hooks, list) or not any(map(_is_ours, hooks)):
            kept.append(group)
        elif others := [hook for hook in hooks if not _is_ours(hook)]:
            kept.append({**group, "hooks": others})
    return kept


def _is_ours(hook: Any) -> bool:
    return isinstance(hook, dict) and _MODULE in str(hook.get("command", ""))


def _look(workspace: Workspace, scope: Scope) -> Installed:
    path = settings_file(workspace, scope)
    try:
        settings = GuestFile(path, lock="none").read()
        hooks = _hooks(settings, path)
    except NotFoundError:
        return Installed(scope, str(path), False, [])
    except HoldfastError as error:
        return Installed(scope, str(path), False, [str(error)])
    present = {event: _ours(groups) for event, groups in hooks.items() if _ours(groups)}
    problems = []
    if present and settings.get("disableAllHooks") is True:
        problems.append("disableAllHooks is set: Claude Code runs no hook")
    wanted = {event: [group] for event, group in _wanted(workspace).items()}
    if present and present != wanted:
        problems.append("set for another place or Python; mend it with: holdfast guard install")
    return Installed(scope, str(path), bool(present), problems)


def _ours(groups: list[Any]) -> list[Any]:
    return [
        group
        for group in groups
        if isinstance(group, dict) and any(map(_is_ours, group.get("hooks") or []))
    ]
