"""Questions to a process that watches a folder tree, put and answered as files.

The watcher holds ``watcher.lock`` in the folder; a question is ``<token>.ask``, accepted as
``<token>.taken`` and answered as ``<token>.said``. A question file is also a mark in the stream of
changes: when its own event arrives at the watcher, every change made before it has arrived too.

Whoever asks must not be felt, so this module imports next to nothing.
"""

import os
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False  # typing takes longer to import than all the rest
if TYPE_CHECKING:
    from collections.abc import Callable

LOCK_NAME = "watcher.lock"
_ASK, _TAKEN, _SAID = ".ask", ".taken", ".said"
_BINARY = getattr(os, "O_BINARY", 0)
_LOCKED_BYTE = 1 << 30  # as in durable.locks

if sys.platform == "win32":
    import msvcrt

    def _is_free(descriptor: int) -> bool:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return True

else:
    import fcntl

    def _is_free(descriptor: int) -> bool:
        try:
            # Shared, so that two who look at once do not take each other for the watcher.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return True


def is_watched(folder: str) -> bool:
    """Whether a watcher is alive that answers the questions put in `folder`."""
    try:
        descriptor = os.open(os.path.join(folder, LOCK_NAME), os.O_RDWR | _BINARY)
    except OSError:
        return False
    try:
        return not _is_free(descriptor)
    finally:
        os.close(descriptor)


def ask(
    folder: str, question: bytes, *, accepted_within: float, answered_within: float
) -> bytes | None:
    """Put `question` and wait for the answer (both in seconds); None when nobody answers.

    Raises `OSError` when the question cannot be written.
    """
    if not is_watched(folder):
        return None
    token = os.path.join(folder, os.urandom(8).hex())
    _write(token, _ASK, question)
    if not _wait(lambda: not os.path.exists(token + _ASK), folder, accepted_within):
        with suppress(FileNotFoundError):
            os.unlink(token + _ASK)
            return None
        # It was accepted just now.
    if not _wait(lambda: os.path.exists(token + _SAID), folder, answered_within):
        return None
    with open(token + _SAID, "rb") as file:
        answer = file.read()
    with suppress(OSError):
        os.unlink(token + _SAID)
    return answer


def tell(folder: str, note: bytes) -> bool:
    """Put `note` without waiting; False when there is nobody to read it."""
    if not is_watched(folder):
        return False
    _write(os.path.join(folder, os.urandom(8).hex()), _ASK, note)
    return True


def is_question(path: str) -> bool:
    """Whether `path` is a question, by its name."""
    return path.endswith(_ASK)


def accept(path: str) -> bytes | None:
    """The watcher takes the question `path` up; None when whoever asked gave up."""
    taken = path.removesuffix(_ASK) + _TAKEN
    try:
        os.replace(path, taken)
    except FileNotFoundError:
        return None
    with open(taken, "rb") as file:
        return file.read()


def answer(path: str, reply: bytes) -> None:
    """The watcher answers the accepted question `path`."""
    token = path.removesuffix(_ASK)
    _write(token, _SAID, reply)
    with suppress(OSError):
        os.unlink(token + _TAKEN)


def sweep(folder: str, *, older_than: float) -> None:
    """Remove what was asked or answered more than `older_than` seconds ago, and not fetched."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith((_ASK, _TAKEN, _SAID, ".new")):
            with suppress(OSError):
                if time.time() - os.stat(path).st_mtime >= older_than:
                    os.unlink(path)


def _write(token: str, suffix: str, content: bytes) -> None:
    """The file appears whole; it need not outlive the two who speak."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    descriptor = os.open(f"{token}.new", flags, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    os.replace(f"{token}.new", token + suffix)


def _wait(is_done: "Callable[[], bool]", folder: str, seconds: float) -> bool:
    """Wait until `is_done`, at most `seconds` and only while the watcher lives."""
    started = time.monotonic()
    looked = 0.0
    pause = 0.001
    while not is_done():
        waited = time.monotonic() - started
        if waited >= seconds:
            return is_done()
        if waited - looked >= 0.5:
            looked = waited
            if not is_watched(folder):
                return is_done()
        time.sleep(pause)
        pause = min(pause * 1.1, 0.02)
    return True
