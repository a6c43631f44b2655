"""Running a program with secrets in its environment."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from holdfast.errors import MissingError
from holdfast.facade import Workspace
from holdfast.logs.redaction import ENVIRONMENT as REDACTED


def run_with_secrets(workspace: Workspace, command: Sequence[str], only: Sequence[str] = ()) -> int:
    """The exit status of `command`, which gets all secrets, or those named, as variables.

    On POSIX it takes the place of this process. Raises `MissingError` for a program or a secret
    that is not there.
    """
    names = list(only) or [each.name for each in workspace.secrets.list()]
    environment = {**os.environ, **{name: workspace.secrets.get(name) for name in names}}
    known = list(filter(None, environment.get(REDACTED, "").split(",")))
    environment[REDACTED] = ",".join(dict.fromkeys([*known, *names]))
    program = shutil.which(command[0])
    if program is None:
        raise MissingError(f"the program {command[0]!r} is not on PATH")
    workspace.close()
    if sys.platform != "win32":
        sys.stdout.flush()
        os.execve(program, [*command], environment)  # noqa: S606
    return subprocess.run([program, *command[1:]], env=environment, check=False).returncode
