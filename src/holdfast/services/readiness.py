"""Whether a service that runs can be used: its port answers, its file is there, it said so."""

import socket
from pathlib import Path

from holdfast.durable.names import long_path
from holdfast.registry.service_entry import ReadyCheck
from holdfast.services.records import Record

_CONNECT_LIMIT = 0.2  # seconds
_SETTLED = 0.3  # seconds a program without a check must have lived
_TICK = 2.0  # seconds that the times of a file system may be behind


def is_ready(check: ReadyCheck, record: Record, root: Path, now: float) -> bool:
    """Whether the running service of `record` passes `check`; `root` is the workspace."""
    if check.port is not None:
        return _answers(check.port)
    if check.log is not None:
        return record.seen
    if check.file is not None:
        return _touched_since(root / check.file, record.since)
    return now - record.since >= _SETTLED


def described(check: ReadyCheck) -> str:
    """What is waited for, for people."""
    if check.port is not None:
        return f"port {check.port} does not answer"
    if check.log is not None:
        return f"its output does not hold {check.log!r}"
    return f"the file {check.file} is not there" if check.file is not None else "it does not settle"


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_LIMIT).close()
    except OSError:
        return False
    return True


def _touched_since(path: Path, since: float) -> bool:
    try:
        return long_path(path).stat().st_mtime >= since - _TICK
    except OSError:
        return False
