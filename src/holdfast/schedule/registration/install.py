"""Choosing the scheduler, writing its files and telling it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from holdfast.durable.files import make_folder, read_bytes, remove, write_atomic
from holdfast.errors import MissingError, NotFoundError, StorageError
from holdfast.facade import Workspace
from holdfast.schedule.registration import cron, launchd, systemd, task_scheduler
from holdfast.schedule.registration.entry import Command, Entry, Plan, entry_of

SYSTEMS: dict[str, Callable[[Entry, Path], Plan]] = {
    "task-scheduler": task_scheduler.plan,
    "systemd": systemd.plan,
    "launchd": launchd.plan,
    "cron": cron.plan,
}

# schtasks speaks the language, and in the character set, of the console.
_ENCODING = "oem" if sys.platform == "win32" else "utf-8"


class Registered(msgspec.Struct, frozen=True, rename="camel"):
    """What was, or would be, written and run; `files` are their contents by path."""

    system: str
    dry_run: bool
    files: dict[str, str]
    commands: list[str]


def plan(workspace: Workspace, system: str | None = None) -> Plan:
    """What registers `workspace` with `system`, else with the one that this machine has.

    Raises `MissingError` when there is none.
    """
    return SYSTEMS[system or _detect()](entry_of(workspace.layout), Path.home())


def install(
    workspace: Workspace, system: str | None = None, *, dry_run: bool = False, enable: bool = True
) -> Registered:
    """Write the files and switch it on; without `enable` the files are only written.

    Doing it again changes nothing. Raises `MissingError`, `StorageError`.
    """
    made = plan(workspace, system)
    if not dry_run:
        for path, content in made.files.items():
            make_folder(path.parent)
            write_atomic(path, content)
        for command in made.enable if enable else ():
            _run(command)
    return _registered(made, made.enable if enable else (), dry_run=dry_run)


def uninstall(
    workspace: Workspace, system: str | None = None, *, dry_run: bool = False, enable: bool = True
) -> Registered:
    """Switch it off and remove the files; what is not there is fine. Raises as `install`."""
    made = plan(workspace, system)
    if not dry_run:
        if enable and is_installed(made):
            for command in made.disable:
                _run(command)
        for path in made.files:
            remove(path)
    return _registered(made, made.disable if enable else (), dry_run=dry_run)


def is_installed(made: Plan) -> bool:
    """Whether what `made` writes is there, as it would be written now or otherwise."""
    if made.system == "cron":
        return made.disable[0].stdin != cron.current_table()
    return all(path.is_file() for path in made.files)


def is_current(made: Plan) -> bool:
    """Whether it is there just as it would be written now."""
    if made.system == "cron":
        return made.enable[0].stdin == cron.current_table()
    try:
        return all(read_bytes(path) == content for path, content in made.files.items())
    except NotFoundError:
        return False


def _detect() -> str:
    if sys.platform == "win32":
        return "task-scheduler"
    if sys.platform == "darwin":
        return "launchd"
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if shutil.which("systemctl") and runtime and Path(runtime, "systemd").is_dir():
        return "systemd"
    if shutil.which("crontab"):
        return "cron"
    raise MissingError(
        "neither systemd nor cron is here to run the schedule",
        hint="keep 'holdfast schedule watch' running, or write files only: --system … --no-start",
    )


def _run(command: Command) -> None:
    line = " ".join(command.arguments)
    try:
        done = subprocess.run(
            command.arguments,
            input=command.stdin,
            capture_output=True,
            text=True,
            encoding=_ENCODING,
            errors="replace",
            timeout=60,
            check=False,
        )
    except FileNotFoundError as error:
        raise MissingError(f"the program {command.arguments[0]} is not here") from error
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"{line} did not end within a minute") from error
    if done.returncode != 0:
        raise StorageError(f"{line} failed: {(done.stderr or done.stdout).strip()}")


def _registered(made: Plan, commands: tuple[Command, ...], *, dry_run: bool) -> Registered:
    return Registered(
        made.system,
        dry_run,
        {
            str(path): content.decode("utf-16" if content[:2] == b"\xff\xfe" else "utf-8")
            for path, content in made.files.items()
        },
        [
            " ".join(command.arguments) + (f" <<\n{command.stdin}" if command.stdin else "")
            for command in commands
        ],
    )
