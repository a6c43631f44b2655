"""The bytes of an archive on their way: compressed, encrypted, and back, piece by piece."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import zstandard

from holdfast.durable.names import long_path
from holdfast.errors import CorruptError, LockedError, storage_errors
from holdfast.vault.identities import KeySource

AGE_MAGIC = b"age-encryption.org/v1\n"
_PIECE = 1 << 20
_QUEUED = 8


class _Pipe:
    """Pieces from one thread to another, as a file that can be read and written."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[bytes] = queue.Queue(_QUEUED)
        self._rest = b""
        self._ended = False
        self.broken = False

    def write(self, data: bytes) -> int:
        data = bytes(data)
        while data and not self.broken:
            try:
                self._pieces.put(data, timeout=0.5)
                break
            except queue.Full:
                continue
        if self.broken:
            raise OSError("the other side has ended")
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""

    def end(self) -> None:
        while not self.broken:
            try:
                self._pieces.put(b"", timeout=0.5)
                return
            except queue.Full:
                continue

    def read(self, size: int = -1) -> bytes:
        while not self._rest and not self._ended:
            try:
                self._rest = self._pieces.get(timeout=0.5)
            except queue.Empty:
                if self.broken:
                    raise OSError("the other side has ended") from None
                continue
            self._ended = not self._rest
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class Encrypter:
    """Writes an age file by `write`; `finish` raises what went wrong."""

    def __init__(self, write: Callable[[bytes], None], recipients: Sequence[str]) -> None:
        self._write = write
        self._recipients = recipients
        self._pipe = _Pipe()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="holdfast-age", daemon=True)
        self._thread.start()

    def write(self, data: bytes) -> None:
        try:
            self._pipe.write(data)
        except OSError:
            self._thread.join()
            if self._error is not None:
                raise self._error from None
            raise

    def finish(self) -> None:
        self._pipe.end()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def abort(self) -> None:
        """Give up; what was written so far is no age file."""
        self._pipe.broken = True
        self._thread.join()

    def _run(self) -> None:
        import pyrage

        target = _Target(self._write)
        try:
            people = [pyrage.x25519.Recipient.from_str(one) for one in self._recipients]
            pyrage.encrypt_io(self._pipe, target, people)
        except BaseException as error:
            self._error = target.error or error
        finally:
            self._pipe.broken = True


class _Target:
    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self.error: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            self._write(bytes(data))
        except BaseException as error:
            self.error = error  # pyrage would only tell that something failed
            raise
        return len(data)

    def flush(self) -> None:
        """Nothing waits here."""


def open_archive(path: Path, source: KeySource) -> "Stream":
    """The tar bytes of an archive. Raises `LockedError`, `CorruptError`, `StorageError`."""
    pieces = _file(path)
    first = next(pieces, b"")
    if first.startswith(AGE_MAGIC):
        pieces = _decrypted(first, pieces, path, source)
    else:
        pieces = _chained(first, pieces)
    return Stream(_decompressed(pieces, path))


class Stream:
    """Bytes read by count."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0  # of the piece, so much was read

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; fewer only at the end."""
        end = self._at + size
        if end <= len(self._piece):
            data = self._piece[self._at : end]
            self._at = end
            return data
        parts = [self._piece[self._at :]]
        left = size - len(parts[0])
        while left:
            self._piece, self._at = next(self._pieces, b""), 0
            if not self._piece:
                break
            parts.append(self._piece[:left])
            self._at = len(parts[-1])
            left -= self._at
        return b"".join(parts)

    def drain(self) -> None:
        """Read to the end, where a cut or a forgery of the encryption shows itself."""
        for _ in self._pieces:
            pass

    def close(self) -> None:
        self._pieces.close()  # type: ignore[attr-defined]


def _file(path: Path) -> Iterator[bytes]:
    with storage_errors(path, "read the archive"), long_path(path).open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _decompressed(pieces: Iterator[bytes], path: Path) -> Iterator[bytes]:
    decompressor: Any = None
    try:
        for piece in pieces:
            data = piece
            while data:
                if decompressor is None:
                    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 27)
                    decompressor = decompressor.decompressobj(write_size=1 << 17)
                # In small steps: what a bomb unpacks to is never in memory at once.
                step, data = data[:2048], data[2048:]
                if out := decompressor.decompress(step):
                    yield out
                if decompressor.eof:
                    data = decompressor.unused_data + data
                    decompressor = None
    except zstandard.ZstdError as error:
        raise CorruptError(f"not a zstd file, or damaged: {error}", path=path) from error
    if decompressor is not None:
        raise CorruptError("the archive is cut short", path=path)


def _decrypted(
    first: bytes, rest: Iterator[bytes], path: Path, source: KeySource
) -> Iterator[bytes]:
    import pyrage

    identities = source.identities()
    if not identities:
        raise LockedError(
            "a key is needed: the archive is encrypted",
            path=path,
            hint="HOLDFAST_IDENTITY names the private key's file",
        )
    pipe = _Pipe()
    failed: list[BaseException] = []
    reader = _Source(_chained(first, rest))

    def run() -> None:
        try:
            pyrage.decrypt_io(reader, pipe, identities)
        except BaseException as error:
            failed.append(error)
        finally:
            pipe.end()

    thread = threading.Thread(target=run, name="holdfast-age", daemon=True)
    thread.start()
    try:
        while piece := pipe.read(_PIECE):
            yield piece
    finally:
        pipe.broken = True
        thread.join()
    if failed:
        if reader.error is not None:
            raise reader.error
        if "matching" in str(failed[0]):
            raise LockedError(
                "wrong key: the archive is encrypted for another one", path=path
            ) from failed[0]
        raise CorruptError(f"cannot be decrypted: {failed[0]}", path=path) from failed[0]


class _Source:
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        if not self._rest:
            try:
                self._rest = next(self._pieces, b"")
            except BaseException as error:
                self.error = error
                raise
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece
