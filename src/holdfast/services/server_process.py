"""One stdio server as a process: its messages, what else it printed, and its certain end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped]

_TAIL = 4096  # bytes of stderr that are kept
_LONGEST_LINE = 16 << 20  # bytes
_MOST_OUTPUT = 64 << 20  # bytes; a handshake takes a few thousand
_MOST_RUBBISH = 2000  # lines
_CHUNK = 1 << 16
_GRACE = 0.5  # seconds between each of: end of input, request to end, kill


class ServerProcess:
    """A server that was started, in a process group of its own.

    `rubbish` is the first line on its standard output that was no message, `flooded` whether it
    printed more than any handshake needs; `stderr` is the tail of its standard error.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._stderr = bytearray()
        self._watching = asyncio.create_task(self._drain_stderr())
        self._family: list[psutil.Process] = []
        self.rubbish: str | None = None
        self.rubbish_lines = 0
        self.output = 0
        self.flooded = False

    @classmethod
    async def start(
        cls, program: Path, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> "ServerProcess":
        """Start it. Raises `OSError`."""
        options: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            import subprocess

            options = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        process = await asyncio.create_subprocess_exec(
            str(program),
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            cwd=folder,
            limit=_CHUNK,
            **options,
        )
        return cls(process)

    @property
    def stderr(self) -> str:
        """The tail of what it wrote to standard error."""
        return self._stderr.decode("utf-8", "replace").strip()

    @property
    def exit_status(self) -> int | None:
        """What it ended with; negative is a signal; None while it runs."""
        return self._process.returncode

    async def send(self, message: Mapping[str, Any]) -> None:
        """Write one message. Raises `OSError` when it takes none any more."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(message) + b"\n")
        await self._process.stdin.drain()

    async def messages(self) -> AsyncGenerator[dict[str, Any], None]:
        """What it says on standard output, until it ends or `flooded`; rubbish is noted."""
        assert self._process.stdout is not None
        rest = b""
        while chunk := await self._process.stdout.read(_CHUNK):
            self.output += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in filter(bytes.strip, lines):
                message = _message_in(line)
                if message is None:
                    self._note_rubbish(line)
                else:
                    yield message
            if (
                len(rest) > _LONGEST_LINE
                or self.output > _MOST_OUTPUT
                or self.rubbish_lines > _MOST_RUBBISH
            ):
                self.flooded = True
                return
        if rest.strip():
            self._note_rubbish(rest)

    async def end(self) -> None:
        """End it and all it started: close its input, ask, then kill. Never hangs."""
        self._look_for_family()
        assert self._process.stdin is not None
        self._process.stdin.close()
        discarding = asyncio.create_task(self._discard_output())
        try:
            if not await self._ends():
                self._signal(ask=True)
                if not await self._ends():
                    self._look_for_family()
            self._signal(ask=False)
            await self._ends()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._watching), _GRACE)
        finally:
            for task in (discarding, self._watching):
                task.cancel()
            await asyncio.gather(discarding, self._watching, return_exceptions=True)
            # Pipes that an escaped grandchild holds open must not be waited for.
            self._process._transport.close()  # type: ignore[attr-defined]

    async def settle(self) -> None:
        """Give a process that closed its output a moment to be seen ending."""
        await self._ends()

    async def _ends(self) -> bool:
        """Whether it ends within the grace; its pipes may stay open in what it started."""
        for _ in range(int(_GRACE / 0.01)):
            if self._process.returncode is not None:
                return True
            await asyncio.sleep(0.01)
        return self._process.returncode is not None

    async def _drain_stderr(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(_CHUNK):
            self._stderr += chunk
            del self._stderr[:-_TAIL]

    async def _discard_output(self) -> None:
        assert self._process.stdout is not None
        while await self._process.stdout.read(_CHUNK):
            pass

    def _note_rubbish(self, line: bytes) -> None:
        self.rubbish_lines += 1
        if self.rubbish is None:
            self.rubbish = line[:200].decode("utf-8", "replace").strip()

    def _look_for_family(self) -> None:
        import psutil

        with suppress(psutil.Error):
            process = psutil.Process(self._process.pid)
            below = _descendants(process.pid)
            if below is None:
                self._family = [process, *process.children(recursive=True)]
                return
            self._family = [process]
            for pid in below:
                with suppress(psutil.Error):
                    self._family.append(psutil.Process(pid))

    def _signal(self, *, ask: bool) -> None:
        """Ask, or force, the process and what it started to end."""
        import psutil

        if sys.platform != "win32":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGTERM if ask else signal.SIGKILL)
        for process in self._family:
            # psutil compares start times: a reused process id is not hit.
            with suppress(psutil.Error):
                (process.terminate if ask else process.kill)()


def _descendants(pid: int) -> list[int] | None:
    """All that `pid` started, and what these did, without a look at every process of the system.

    None where the system does not tell.
    """
    if sys.platform != "linux":
        return None
    found = [pid]
    for each in found:  # grows while it is walked
        try:
            tasks = os.listdir(f"/proc/{each}/task")  # noqa: PTH208
            for task in tasks:
                told = Path(f"/proc/{each}/task/{task}/children").read_bytes()
                found += map(int, told.split())
        except (FileNotFoundError, ProcessLookupError):  # it ended, or this kernel does not tell
            if each == pid:
                return None
        except OSError:
            return None
    return found[1:]


def _message_in(line: bytes) -> dict[str, Any] | None:
    """The message that a line is, if it is one."""
    try:
        message = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        return None
    return message if "id" in message or "method" in message else None
