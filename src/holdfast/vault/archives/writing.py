"""Writing an archive: gathered, compressed, perhaps encrypted, named when whole, and read again."""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import zstandard
from blake3 import blake3

from holdfast.durable.files import sweep_temporary
from holdfast.durable.names import is_within, long_path
from holdfast.durable.staged import StagedFile
from holdfast.errors import HoldfastError, NotFoundError, UsageError
from holdfast.vault.archives import tar
from holdfast.vault.archives.manifest import (
    MANIFEST,
    VERSION,
    Listed,
    ManifestHeader,
    encode,
    shown,
)
from holdfast.vault.archives.streams import Encrypter, open_archive
from holdfast.vault.create import Order
from holdfast.vault.failing import visit
from holdfast.vault.identities import check_recipient
from holdfast.vault.naming import ARCHIVE, SEALED_ARCHIVE, free_name
from holdfast.vault.proof import hash_of, unsound
from holdfast.vault.reports import ArchiveReport, Finding
from holdfast.vault.repository import Access
from holdfast.vault.scratch import scratch_folder
from holdfast.vault.whole import Gathered, Gatherer

_How = Literal["full", "sealed"]
_LEVEL = 3
_CHECKED = 5  # databases opened after the archive was read again
_STALE = 86_400.0  # seconds after which an unfinished archive is nobody's any more


def create_archive(folder: Path, order: Order, access: Access, private: Path) -> ArchiveReport:
    """Write an archive of the trees of `order` to `folder` and prove it.

    With recipients it is encrypted. What cannot be read is in `problems`. Raises `NotFoundError`,
    `UsageError`, `StorageError`; nothing half written is left under a name of its own.
    """
    began = time.monotonic()
    if not long_path(order.root).is_dir():
        raise NotFoundError("there is no such folder", path=order.root)
    if is_within(order.root, folder):
        raise UsageError("an archive cannot hold itself", path=order.root)
    if access.passphrase and not access.recipients:
        hint = "give age public keys; a vault can have a passphrase"
        raise UsageError("archives are encrypted for recipients only", hint=hint)
    recipients = [check_recipient(one) for one in access.recipients]
    sweep_temporary(folder, older_than=_STALE)
    with scratch_folder(private) as scratch:
        writing = _Writing(folder, order, recipients, scratch)
        path, stored = writing.run()
        visit("vault.archive.written", path)
        proof, findings = _prove(path, writing, access, scratch)
    return ArchiveReport(
        path=str(path),
        files=len(writing.listed),
        size=sum(each.size for each in writing.listed.values()),
        stored=stored,
        problems=writing.gatherer.problems,
        findings=findings,
        proof=None if findings else proof,
        seconds=time.monotonic() - began,
    )


class _Output:
    """Compresses into a staged file, by way of age when there are recipients."""

    def __init__(self, folder: Path, recipients: list[str]) -> None:
        self.stored = 0
        self.hash = blake3()
        self._file = StagedFile(folder)
        self._encrypter = Encrypter(self._keep, recipients) if recipients else None
        self._sink: Callable[[bytes], None] = (
            self._keep if self._encrypter is None else self._encrypter.write
        )
        threads = min(os.cpu_count() or 1, 4)
        self._compressor = zstandard.ZstdCompressor(
            level=_LEVEL, write_checksum=True, threads=threads
        ).compressobj()

    def write(self, data: bytes) -> None:
        if compressed := self._compressor.compress(data):
            self._sink(compressed)

    def finish(self) -> None:
        self._sink(self._compressor.flush())
        if self._encrypter is not None:
            self._encrypter.finish()

    def publish(self, path: Path) -> None:
        self._file.publish(path)

    def abort(self) -> None:
        if self._encrypter is not None:
            self._encrypter.abort()
        self._file.discard()

    def _keep(self, data: bytes) -> None:
        self.hash.update(data)
        self._file.write(data)
        self.stored += len(data)


class _Writing:
    """One archive being written."""

    def __init__(self, folder: Path, order: Order, recipients: list[str], scratch: Path) -> None:
        self.listed: dict[str, Listed] = {}
        self.encrypted = bool(recipients)
        self._folder = folder
        self._order = order
        self._recipients = recipients
        self._roots = order.roots
        self._twins: dict[str, str] = {}
        self._folders: list[bytes] = []
        self.gatherer = Gatherer(order, self._roots, folder, scratch, encrypted=self.encrypted)
        self.digest = ""

    def run(self) -> tuple[Path, int]:
        """Write it; where it is, and its bytes."""
        output = _Output(self._folder, self._recipients)
        try:
            for gathered in self.gatherer:
                self._add(output, gathered)
                visit("vault.archive.member", self._folder)
            self._finish(output)
            suffix = SEALED_ARCHIVE if self.encrypted else ARCHIVE
            name = self._order.workspace_name or self._order.root.name
            path = free_name(self._folder, name, suffix, self.gatherer.started)
            output.publish(path)
        except BaseException:
            output.abort()
            raise
        finally:
            self.gatherer.close()
        self.digest = output.hash.hexdigest()
        return path, output.stored

    def _add(self, output: _Output, gathered: Gathered) -> None:
        entry = gathered.entry
        path = f"{self._roots[entry.root].name}/{entry.path}"
        name = os.fsencode(path)
        about: dict[str, Any] = {"mode": entry.mode, "mtime_ns": entry.mtime_ns}
        if entry.kind == "folder":
            self._folders.append(tar.member(name + b"/", tar.FOLDER, **about))
        elif entry.kind == "link":
            target = os.fsencode(entry.target or "")
            output.write(tar.member(name, tar.SYMLINK, link=target, **about))
        elif entry.hard_link is not None and entry.hard_link in self._twins:
            first = os.fsencode(self._twins[entry.hard_link])
            output.write(tar.member(name, tar.LINK, link=first, **about))
        else:
            if entry.hard_link is not None:
                self._twins[entry.hard_link] = path
            output.write(tar.member(name, tar.FILE, size=entry.size, **about))
            state = blake3()
            for piece in gathered.content():
                state.update(piece)
                output.write(piece)
            output.write(tar.padding(entry.size))
            listed = Listed(shown(path), entry.size, state.hexdigest(), entry.capture)
            self.listed[listed.path] = listed

    def _finish(self, output: _Output) -> None:
        # After what they hold, innermost first: so tar gives them their times and modes for good.
        for folder in reversed(self._folders):
            output.write(folder)
        order = self._order
        ended = datetime.now(UTC)
        header = ManifestHeader(
            format_version=VERSION,
            roots=self._roots,
            host=socket.gethostname(),
            platform=sys.platform,
            started_at=self.gatherer.started,
            ended_at=ended,
            files=len(self.listed),
            size=sum(each.size for each in self.listed.values()),
            workspace_id=order.workspace_id,
            workspace_name=order.workspace_name,
            tags=list(order.tags),
            problems=self.gatherer.problems,
        )
        data = encode(header, list(self.listed.values()))
        moment = int(ended.timestamp()) * 1_000_000_000
        name = MANIFEST.encode()
        output.write(tar.member(name, tar.FILE, size=len(data), mode=0o600, mtime_ns=moment))
        output.write(data + tar.padding(len(data)) + tar.END)
        output.finish()


def _prove(
    path: Path, writing: _Writing, access: Access, scratch: Path
) -> tuple[_How, list[Finding]]:
    """Read the archive again, whole, and compare each file with what was written."""
    if writing.encrypted and not access.source.is_at_hand():
        wrong = "its content is not what was written"
        return "sealed", [] if hash_of(path) == writing.digest else [Finding(path.name, wrong)]
    findings = []
    missing = dict(writing.listed)
    databases = 0
    try:
        stream = open_archive(path, access.source)
        for member, content in tar.read_members(stream.read):
            listed = missing.pop(shown(member.path), None)
            if listed is None:
                continue
            check = listed.capture == "sqlite" and databases < _CHECKED
            databases += check
            problem = _compare(content, listed, scratch / "database" if check else None)
            if problem is not None:
                findings.append(Finding(path.name, problem, path=listed.path))
        stream.drain()
    except HoldfastError as error:
        findings.append(Finding(path.name, error.message))
    findings += [Finding(path.name, "it is not in the archive", path=name) for name in missing]
    return "full", findings


def _compare(content: Iterator[bytes], listed: Listed, database: Path | None) -> str | None:
    state = blake3()
    copy = None if database is None else database.open("wb")
    try:
        for piece in content:
            state.update(piece)
            if copy is not None:
                copy.write(piece)
    finally:
        if copy is not None:
            copy.close()
    if state.hexdigest() != listed.blake3:
        return "its content is not what was written"
    return None if database is None else unsound(database)
