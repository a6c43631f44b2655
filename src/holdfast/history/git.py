"""Every call of the git program: argument lists, NUL-separated answers, no prompt, no pager.

Names are bytes, as git and POSIX have them; on Windows they are UTF-8. What git refuses becomes an
error of `holdfast.errors` that names the cause and the way out.
"""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import (
    BusyError,
    ConflictError,
    HoldfastError,
    MissingError,
    StorageError,
    UnreadableError,
    UsageError,
)

if sys.platform == "win32":
    _NO_WINDOW = subprocess.CREATE_NO_WINDOW
else:
    _NO_WINDOW = 0

READ_LIMIT = 120.0  # seconds
WRITE_LIMIT = 900.0  # seconds; a first save may hash gigabytes, a push may be slow

_SETTINGS = (
    "core.autocrlf=false",  # what is saved is what is on disk, byte by byte
    "core.longpaths=true",  # else Windows leaves out paths beyond 260 characters
    "core.quotepath=false",
    "core.fsync=committed,reference",  # a save survives a power cut
    "core.fsyncMethod=batch",
    "i18n.commitEncoding=UTF-8",
    *(["core.precomposeunicode=true"] if sys.platform == "darwin" else []),
)
_OF_ANOTHER_INDEX = ("core.fsmonitor=false", "core.splitIndex=false")

# What a git hook or alias hands to its children would lead to another repository or index.
_FOREIGN = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_WORK_TREE",
    "LANGUAGE",
}
_OWN = {
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}

_FAILURES: tuple[tuple[str, type[HoldfastError], str, str], ...] = (
    (
        r"detected dubious ownership",
        UnreadableError,
        "git refuses a repository that belongs to another user",
        "if it is yours: git config --global --add safe.directory {folder}",
    ),
    (
        r"tell me who you are|auto-detect email|empty ident name|no email was given|no name was",
        UsageError,
        "git does not know who commits",
        'git config --global user.name "Your Name"; git config --global user.email you@example.com',
    ),
    (
        r"failed to sign|failed to write commit object|signing failed",
        HoldfastError,
        "git could not sign the commit: {cause}",
        "unlock the key, or switch signing off: git config commit.gpgsign false",
    ),
    (
        r"\.lock': File exists|Another git process seems to be running",
        BusyError,
        "locked by another git program, or by one that died",
        "if no git program is running, remove that file and run the same command again",
    ),
    (
        r"cannot lock ref|but expected|reference already exists",
        ConflictError,
        "the branch was moved by somebody else in between",
        "run the same command again",
    ),
    (
        r"No space left|Read-only file system|insufficient permission|Permission denied",
        StorageError,
        "git could not use the disk: {cause}",
        "free some space or check the owner of the repository, then run it again",
    ),
    (
        r"corrupt|bad signature|bad object|bad tree|unable to read|missing blob|missing tree|"
        r"index file|loose object|not a valid object|invalid object|bad config|bad index|"
        r"could not parse|unable to parse|broken ref",
        UnreadableError,
        "the git repository cannot be read: {cause}",
        "look with 'git fsck'; nothing was changed",
    ),
)
_LOCK = re.compile(r"Unable to create '(?P<path>.+?\.lock)'", re.DOTALL)


def find_git() -> str:
    """The git program on PATH; never one in the current folder. Raises `MissingError`."""
    name = "git.exe" if sys.platform == "win32" else "git"
    for folder in filter(os.path.isabs, os.get_exec_path()):
        program = Path(folder) / name
        if program.is_file() and os.access(program, os.X_OK):
            return str(program)
    raise MissingError(
        "the program git is not installed",
        hint="apt install git · brew install git · winget install Git.Git",
    )


@dataclass(frozen=True)
class Git:
    """The git program in `folder`, with the repository's own index or with another one."""

    folder: Path
    index: Path | None = None

    def with_index(self, index: Path) -> "Git":
        """The same repository with the index file `index`."""
        return Git(self.folder, index)

    def read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What a command that changes nothing prints. Raises what `Git` raises on failure."""
        return self._succeed(arguments, stdin, READ_LIMIT)

    def change(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """What a command that changes something prints."""
        return self._succeed(arguments, stdin, WRITE_LIMIT)

    def names(self, *arguments: str, stdin: bytes = b"") -> list[bytes]:
        """The NUL-separated parts of what a command prints."""
        answer = self.read(*arguments, stdin=stdin)
        return answer.removesuffix(b"\0").split(b"\0") if answer else []

    def line(self, *arguments: str) -> bytes:
        """The one line that a command prints, which may hold newlines itself."""
        return self.read(*arguments).removesuffix(b"\n").removesuffix(b"\r")

    def try_line(self, *arguments: str) -> bytes | None:
        """The same for a question that git answers with status 1 when there is nothing."""
        done = self._run(arguments, b"", READ_LIMIT)
        if done.returncode == 1:
            return None
        self._check(done)
        return done.stdout.removesuffix(b"\n").removesuffix(b"\r")

    def blobs(self, identities: Sequence[bytes]) -> Iterator[bytes]:
        """The contents of these objects, in order."""
        answer = self.read("cat-file", "--batch", stdin=b"".join(i + b"\n" for i in identities))
        at = 0
        for _ in identities:
            end = answer.index(b"\n", at)
            size = int(answer[at:end].split(b" ")[2])
            yield answer[end + 1 : end + 1 + size]
            at = end + 1 + size + 1

    @contextmanager
    def moving(self, ref: str, new: str, old: str | None, reason: str) -> Iterator[None]:
        """Run the body while `ref` is locked at `old`; then it is at `new`.

        An error of the body, or the death of this process, leaves it where it was. Without `old`
        the ref must not exist. Raises `ConflictError` before the body when it is elsewhere.
        """
        process = self._start("update-ref", "-m", reason, "--stdin")
        watch = threading.Timer(WRITE_LIMIT, process.kill)
        watch.daemon = True
        watch.start()
        order = f"update {ref} {new} {old}" if old else f"create {ref} {new}"
        try:
            self._tell(process, "start", order, "prepare")
            yield
            self._tell(process, "commit")
        finally:
            # git takes the end of its input before "commit" for "abort".
            with suppress(OSError):
                process.communicate()
            watch.cancel()

    def _tell(self, process: "subprocess.Popen[bytes]", *lines: str) -> None:
        """Give orders to ``update-ref --stdin`` and wait until it has carried out the last."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # it died; its answer says why
            process.stdin.write("".join(f"{line}\n" for line in lines).encode())
            process.stdin.flush()
        wanted = f"{lines[-1]}: ok".encode()
        while answer := process.stdout.readline():
            if answer.strip() == wanted:
                return
        _, errors = process.communicate()
        raise self._failure(errors, process.returncode)

    def _succeed(self, arguments: tuple[str, ...], stdin: bytes, limit: float) -> bytes:
        done = self._run(arguments, stdin, limit)
        self._check(done)
        return done.stdout

    def _check(self, done: "subprocess.CompletedProcess[bytes]") -> None:
        if done.returncode != 0:
            raise self._failure(done.stderr, done.returncode)

    def _run(
        self, arguments: tuple[str, ...], stdin: bytes, limit: float
    ) -> "subprocess.CompletedProcess[bytes]":
        try:
            return subprocess.run(
                self._command(arguments),
                input=stdin,
                capture_output=True,
                env=self._environment(),
                timeout=limit,
                check=False,
                creationflags=_NO_WINDOW,
            )
        except subprocess.TimeoutExpired as error:
            message = f"git {arguments[0]} did not end within {limit:.0f} seconds"
            raise BusyError(message, path=self.folder, hint="see what git waits for") from error

    def _start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._command(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment(),
            creationflags=_NO_WINDOW,
        )

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        settings = _SETTINGS if self.index is None else _SETTINGS + _OF_ANOTHER_INDEX
        options = [part for setting in settings for part in ("-c", setting)]
        return [find_git(), "-C", str(self.folder), "--no-pager", *options, *arguments]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
        index = {} if self.index is None else {"GIT_INDEX_FILE": str(self.index)}
        return {**kept, **_OWN, **index}

    def _failure(self, stderr: bytes, status: int) -> HoldfastError:
        text = os.fsdecode(stderr).strip()
        cause = _cause(text) or f"git ended with status {status}"
        for pattern, kind, message, hint in _FAILURES:
            if re.search(pattern, text):
                lock = _LOCK.search(text) if kind is BusyError else None
                return kind(
                    message.format(cause=cause),
                    path=lock["path"] if lock else self.folder,
                    hint=hint.format(folder=self.folder),
                )
        return HoldfastError(f"git refused: {cause}", path=self.folder)


def _cause(text: str) -> str:
    """The line of git's complaint that tells the most."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (told or lines or [""])[0].removeprefix("fatal: ").removeprefix("error: ")


def shown(name: bytes) -> str:
    """A name as people and JSON can read it; bytes that are no UTF-8 appear as ``\\xff``."""
    return name.decode("utf-8", "backslashreplace")
