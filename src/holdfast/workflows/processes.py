"""Which process this is, and whether another one of this machine is gone for certain.

A process id alone is reused; together with the time the process started it is not. On Linux that
time counts from the boot, which no step of the clock moves, so the boot belongs to it.
"""

import os
import socket
import sys
from pathlib import Path

import msgspec


class ProcessIdentity(msgspec.Struct, frozen=True, rename="camel"):
    """One process for ever: its machine (host, boot, pid namespace), its id, when it started.

    `boot` is empty where `started` does not count from the boot.
    """

    host: str
    boot: str
    namespace: str
    pid: int
    started: float


def this_process() -> ProcessIdentity:
    """The identity of the running process."""
    return _identity(os.getpid(), _started(os.getpid()) or 0.0)


def identity_of(pid: int) -> ProcessIdentity | None:
    """The identity of the process that has the id `pid` now; None when there is none."""
    started = _started(pid)
    return None if started is None else _identity(pid, started)


def _identity(pid: int, started: float) -> ProcessIdentity:
    return ProcessIdentity(socket.gethostname(), _boot(), _namespace(), pid, started)


def is_gone(process: ProcessIdentity, *, shared_by_hosts: bool) -> bool:
    """Whether `process` has certainly ended; False also means that it cannot be told from here.

    Without `shared_by_hosts` only processes of this machine are asked about, so one of an earlier
    boot has ended.
    """
    if process.host != socket.gethostname():
        return False
    if process.boot != _boot():
        return not shared_by_hosts
    if process.namespace != _namespace():
        return False
    return _started(process.pid) != process.started


if sys.platform == "linux":

    def _boot() -> str:
        return _text("/proc/sys/kernel/random/boot_id")

    def _namespace() -> str:
        try:
            return str(Path("/proc/self/ns/pid").readlink())
        except OSError:
            return ""

    def _started(pid: int) -> float | None:
        # The name in the second field may hold blanks and brackets; what follows it may not.
        fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
        return float(fields[19]) if len(fields) > 19 and fields[0] not in "ZX" else None

    def _text(path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

else:

    def _boot() -> str:
        return ""

    def _namespace() -> str:
        return ""

    def _started(pid: int) -> float | None:
        import psutil  # type: ignore[import-untyped,unused-ignore]

        try:
            process = psutil.Process(pid)
            zombie = process.status() == psutil.STATUS_ZOMBIE
            return None if zombie else process.create_time()
        except psutil.NoSuchProcess:
            return None
