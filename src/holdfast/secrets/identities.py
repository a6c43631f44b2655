"""age identities in files that only their owner can read."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from holdfast.durable.files import make_folder, read_bytes, write_atomic
from holdfast.durable.names import long_path
from holdfast.errors import ConflictError, NotFoundError, UnreadableError

PREFIX = "AGE-SECRET-KEY-"


def generate_identity(path: Path) -> str:
    """Make a private key in a file that only its owner can read; returns the public key.

    Raises `ConflictError` when the file is there.
    """
    secret, public = new_pair()
    make_folder(path.parent, private=True)
    text = f"# created: {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n# public key: {public}\n{secret}\n"
    try:
        write_atomic(path, text.encode(), mode=0o600, exclusive=True)
    except ConflictError as error:
        hint = "choose another file; a key that is overwritten opens nothing any more"
        raise ConflictError("the file exists already", path=path, hint=hint) from error
    return public


def new_pair() -> tuple[str, str]:
    """A new private key and its public key."""
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def read_identities(path: Path) -> str:
    """The text of an identity file.

    Raises `NotFoundError`, and `UnreadableError` when it holds none or others may read it.
    """
    try:
        data = read_bytes(path)
    except NotFoundError as error:
        hint = "if its disk is away, plug it in; HOLDFAST_IDENTITY names another file"
        raise NotFoundError("the private key is not here", path=path, hint=hint) from error
    if data.startswith(b"age-encryption.org/"):
        hint = "decrypt it first, with: age -d"
        raise UnreadableError("the identity file is itself encrypted", path=path, hint=hint)
    _check_private(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableError("no age identity file: no UTF-8 text", path=path) from error
    if not secret_lines(text):
        hint = "its lines begin with AGE-SECRET-KEY-1; a public key (age1…) opens nothing"
        raise UnreadableError("no age identity in this file", path=path, hint=hint)
    return text


def secret_lines(text: str) -> list[str]:
    """The lines of an identity file that are private keys."""
    return [line.strip() for line in text.splitlines() if line.strip().startswith(PREFIX)]


def parse_identity(line: str) -> Any:
    """A private key for pyrage. Raises `UnreadableError`, which does not repeat it."""
    import pyrage

    try:
        return pyrage.x25519.Identity.from_str(line)
    except pyrage.IdentityError as error:
        raise UnreadableError("a line is no age identity") from error


def _check_private(path: Path) -> None:
    """A private key that others can read is no secret. Raises `UnreadableError`."""
    if sys.platform == "win32":
        return
    if long_path(path).stat().st_mode & 0o077 and long_path(path).is_file():
        hint = f"chmod 600 {path}"
        raise UnreadableError("others may read this private key", path=path, hint=hint)
