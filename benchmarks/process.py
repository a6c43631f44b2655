"""A side's process: it reads requests and writes answers, one JSON object a line."""

import json
import os
import subprocess
import sys
from compileall import compile_dir
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.cases import Program
from benchmarks.environment import ROOT, peer_python

_NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"


class SideError(Exception):
    """A side's process failed or answered with an error."""


class SideProcess:
    """The running driver of one side of a row. A context manager; leaving it ends the process."""

    def __init__(self, program: Program, folder: Path) -> None:
        python = peer_python() if program.peer else Path(sys.executable)
        # Our sources must not reach the peers' Python, nor the reverse.
        paths = [str(ROOT)] if program.peer else [str(ROOT), str(ROOT / "src")]
        # As after an installation: nobody compiles the sources at every start.
        compile_dir(ROOT / "src", quiet=2)
        variables = {name: text for name, text in os.environ.items() if name != _NO_BYTECODE}
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-m", "benchmarks.serve", program.driver, program.adapter],
            cwd=folder,
            env={**variables, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """What `operation` answered. Raises `SideError`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = json.dumps({"operation": operation, "parameters": parameters})
        try:
            self._process.stdin.write(request + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise SideError(f"the process ended with {self._process.poll()}") from error
        line = self._process.stdout.readline()
        if not line:
            raise SideError(f"the process ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SideError(str(answer["error"]))
        return answer

    def __enter__(self) -> "SideProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # a broken pipe; Windows calls it an invalid argument
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
