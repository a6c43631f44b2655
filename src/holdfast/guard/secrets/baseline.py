"""Accepted findings: ``configs/secrets-baseline.json``, which git may have.

It holds fingerprints, never values: HMAC-SHA256 of place, kind and value under a key that stays in
the workspace's private state. Who has the file alone cannot try values out.
"""

import hmac
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from holdfast.durable.documents import convert, read_document, write_document
from holdfast.durable.files import make_folder, read_bytes, write_atomic
from holdfast.durable.locks import Lock
from holdfast.durable.points import note_document
from holdfast.errors import ConflictError, NotFoundError, UnreadableError
from holdfast.workspace.layout import Layout


class Accepted(msgspec.Struct, frozen=True, rename="camel"):
    """One accepted finding; never its value."""

    path: Annotated[str, Meta(description="The file, from the workspace, or ~/… in the home.")]
    kind: Annotated[str, Meta(description="What it looked like, as the scan calls it.")]
    fingerprint: Annotated[
        str, Meta(description="HMAC-SHA256 of path, kind and value under the workspace's key.")
    ]


class BaselineDocument(msgspec.Struct, frozen=True, rename="camel"):
    """``configs/secrets-baseline.json``."""

    key_id: Annotated[str, Meta(description="Which key made the fingerprints; not the key itself.")]
    accepted: Annotated[list[Accepted], Meta(description="The accepted findings, by path.")] = []
    accepted_at: Annotated[
        datetime | None, Meta(description="When findings were last accepted (UTC).")
    ] = None
    format_version: Annotated[int, Meta(description="The version of this format.")] = 1


class Baseline:
    """The accepted findings of a workspace."""

    def __init__(self, layout: Layout) -> None:
        self.path = layout.configs / "secrets-baseline.json"
        self._key_file = layout.secrets / "baseline.key"
        self._lock = Lock(layout.locks / "secrets-baseline.lock", purpose="accept secrets")
        self._key: bytes | None = None
        self._known: set[str] | None = None

    def fingerprint(self, path: str, kind: str, value: bytes) -> str:
        """What stands for a finding. Raises `StorageError`."""
        text = b"\0".join((path.encode("utf-8", "surrogateescape"), kind.encode(), value))
        return hmac.digest(self._read_key(), text, "sha256").hex()

    def knows(self, fingerprint: str) -> bool:
        """Whether it was accepted. Raises `UnreadableError` when the file cannot be read."""
        if self._known is None:
            document = self._read()
            self._known = {each.fingerprint for each in document.accepted} if document else set()
        return fingerprint in self._known

    def foreign(self) -> int:
        """How many accepted findings another machine's key made, which cannot be compared here."""
        document = self._read()
        return len(document.accepted) if document and document.key_id != self._key_id() else 0

    def accept(self, findings: Iterable[Accepted]) -> int:
        """Accept findings beside those that are; returns how many were new."""
        with self._lock:
            document = self._read()
            if document is not None and document.key_id != self._key_id():
                raise ConflictError(
                    "these findings were accepted on another machine, whose key is not here",
                    path=self.path,
                    hint=f"copy {self._key_file} from there, or remove the file and accept again",
                )
            before = {each.fingerprint: each for each in document.accepted} if document else {}
            after = {**before, **{each.fingerprint: each for each in findings}}
            if len(after) != len(before):
                kept = sorted(after.values(), key=lambda each: (each.path, each.fingerprint))
                note_document(self.path, lock=self._lock.path)
                make_folder(self.path.parent)
                write_document(self.path, BaselineDocument(self._key_id(), kept, datetime.now(UTC)))
                self._known = None
            return len(after) - len(before)

    def _read(self) -> BaselineDocument | None:
        try:
            return convert(read_document(self.path), BaselineDocument)
        except NotFoundError:
            return None

    def _key_id(self) -> str:
        return hmac.digest(self._read_key(), b"baseline", "sha256").hex()[:16]

    def _read_key(self) -> bytes:
        if self._key is None:
            self._key = _key_in(self._key_file)
        return self._key


def _key_in(path: Path) -> bytes:
    try:
        key = read_bytes(path)
    except NotFoundError:
        make_folder(path.parent, private=True)
        with suppress(ConflictError):  # another process made it in between
            write_atomic(path, secrets.token_bytes(32), mode=0o600, exclusive=True)
        key = read_bytes(path)
    if len(key) != 32:
        raise UnreadableError("not the key of the baseline: 32 bytes are expected", path=path)
    return key
