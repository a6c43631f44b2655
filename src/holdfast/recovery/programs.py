"""Running a program of a recovery, with the end of its output kept for people.

If the recovery is killed the program goes on alone; the next recovery ends it before it begins.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import remove
from holdfast.errors import HoldfastError
from holdfast.workflows.processes import ProcessIdentity, identity_of, is_gone

LIMIT = 1800.0
"""Seconds one program may take."""

_KEPT = 6000  # characters of output

if sys.platform == "win32":
    _NO_WINDOW = subprocess.CREATE_NO_WINDOW
else:
    _NO_WINDOW = 0


class Ended(NamedTuple):
    """How a program ended; `status` is None when it could not be run or took too long."""

    status: int | None
    output: str

    @property
    def ok(self) -> bool:
        return self.status == 0


def run(command: Sequence[str | Path], *, cwd: Path, note: Path, **variables: str) -> Ended:
    """Run `command` in `cwd` to its end. `note` is where its process is written down."""
    words = [str(word) for word in command]
    end_orphan(note)
    try:
        process = subprocess.Popen(
            words,
            cwd=cwd,
            env={**_environment(os.environ), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            creationflags=_NO_WINDOW,
        )
    except OSError as error:
        return Ended(None, f"{words[0]} cannot be run: {error.strerror or error}")
    with process:
        _write_down(process.pid, note)
        try:
            output, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            _end(process.pid)
            output, _ = process.communicate()
            return Ended(None, f"ended after {LIMIT:g} s\n{_tail(output)}")
        except BaseException:
            _end(process.pid)
            raise
    remove(note)
    return Ended(process.returncode, _tail(output))


def end_orphan(note: Path) -> None:
    """End the program that a killed recovery left running."""
    try:
        process = convert(read_document(note), ProcessIdentity)
    except HoldfastError:  # there is none, or it was never written whole
        return
    if not is_gone(process, shared_by_hosts=False):
        _end(process.pid)
    remove(note)


def _write_down(pid: int, note: Path) -> None:
    identity = identity_of(pid)
    if identity is not None:
        write_document(note, identity, durability="process")


def _end(pid: int) -> None:
    import psutil  # type: ignore[import-untyped,unused-ignore]

    with suppress(psutil.Error):
        first = psutil.Process(pid)
        family = [first, *first.children(recursive=True)]
        for process in family:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(family, timeout=10)


def _environment(present: Mapping[str, str]) -> dict[str, str]:
    """The programs' environment: speaking UTF-8, and without what tests arm in this process."""
    kept = {name: text for name, text in present.items() if not name.startswith("HOLDFAST_FAULTS")}
    return {"PYTHONUTF8": "1", **kept}


def _tail(output: bytes) -> str:
    return output.decode("utf-8", "replace").replace("\r\n", "\n").strip()[-_KEPT:]
