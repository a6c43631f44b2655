"""Starting, finding, asking to end and killing the processes of a service, on every system.

All processes of one start carry its token in their environment, so that they are found again
whoever started them, also in the instant before their id was written down.
"""

import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped,unused-ignore]

from holdfast.durable.commands import startable
from holdfast.durable.files import make_folder, remove, write_atomic
from holdfast.durable.outputs import open_output
from holdfast.errors import MissingError, StorageError
from holdfast.workflows.processes import ProcessIdentity, identity_of, is_gone

TOKEN = "HOLDFAST_SERVICE_TOKEN"  # noqa: S105  a mark, no secret
STOP_FILE = "HOLDFAST_STOP_FILE"

if sys.platform == "win32":
    # A console of its own without a window: the children share it, so that CTRL_BREAK reaches them.
    _DETACHED = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    _GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}

    def _ask(pid: int) -> None:
        os.kill(pid, signal.CTRL_BREAK_EVENT)

else:
    _DETACHED = {"start_new_session": True}
    _GROUP = {"start_new_session": True}

    def _ask(pid: int) -> None:
        os.killpg(pid, signal.SIGTERM)


def new_token() -> str:
    """A mark for one start."""
    return secrets.token_hex(16)


def spawn_detached(command: Sequence[str], *, cwd: Path, output: Path) -> None:
    """Start a program that outlives this one. Raises `StorageError`."""
    started = _spawn(command, cwd=cwd, environment=os.environ, output=output, how=_DETACHED)
    # If it ends before this process, it is not to stay as a zombie.
    threading.Thread(target=started.wait, daemon=True).start()


def spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    token: str,
    stop_file: Path,
    output: Path,
) -> "subprocess.Popen[bytes]":
    """Start a service: in a process group of its own, its output appended to `output`.

    Raises `MissingError` when there is no such program, `StorageError` when it cannot be run.
    """
    remove(stop_file)
    marked = {**environment, TOKEN: token, STOP_FILE: str(stop_file)}
    return _spawn(command, cwd=cwd, environment=marked, output=output, how=_GROUP)


def _spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    output: Path,
    how: Mapping[str, object],
) -> "subprocess.Popen[bytes]":
    descriptor = open_output(output)
    try:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            startable(command, environment),
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            close_fds=True,
            **how,
        )
    except FileNotFoundError as error:
        raise MissingError(f"the program {command[0]!r} is not found") from error
    except OSError as error:
        raise StorageError(f"{command[0]} cannot be run: {error.strerror or error}") from error
    finally:
        os.close(descriptor)


def alive(process: ProcessIdentity) -> bool:
    """Whether the very process `process`, not a later one with its id, is running."""
    return not is_gone(process, shared_by_hosts=False)


def find(token: str) -> ProcessIdentity | None:
    """The first process of the start `token`: the one whose parent does not carry it."""
    marked = {process.pid: process for process in _marked(token)}
    for process in marked.values():
        with suppress(psutil.Error):
            if process.ppid() not in marked:
                return identity_of(process.pid)
    return None


def ask_to_end(process: ProcessIdentity, stop_file: Path) -> None:
    """Ask a service to end: a signal to its group, and the stop file it may look for."""
    make_folder(stop_file.parent)
    with suppress(StorageError):  # a full disk; the signal is sent all the same
        write_atomic(stop_file, b"", durability="process")
    with suppress(OSError):  # it ended meanwhile, or is in no group of ours
        if alive(process):
            _ask(process.pid)


def kill(process: ProcessIdentity | None, token: str) -> None:
    """End at once what is left of a start: the process, its descendants, all that carry `token`."""
    doomed = {found.pid: found for found in _marked(token)} if token else {}
    if process is not None and alive(process):
        for found in family(process):
            doomed[found.pid] = found
    for found in doomed.values():
        with suppress(psutil.Error):
            found.kill()  # checks that the id was not given to another process


def family(process: ProcessIdentity) -> list[psutil.Process]:
    """The process and its descendants that are running."""
    with suppress(psutil.Error):
        first = psutil.Process(process.pid)
        if alive(process):
            return [first, *first.children(recursive=True)]
    return []


def _marked(token: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(TOKEN) == token and process.status() != psutil.STATUS_ZOMBIE:
                yield process
