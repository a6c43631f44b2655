"""Packs: tar files of chunks, compressed as many zstd frames, written by a thread of their own.

The thread that finds chunks gathers them into frames of tar data; another one compresses, hashes
and writes. `zstandard`, `blake3` and the disk release Python's lock, so both really run at once.
"""

import queue
import threading

import zstandard
from blake3 import blake3

from holdfast.durable.files import make_folder, remove, sync_folder
from holdfast.durable.staged import StagedFile
from holdfast.vault.entries import FORMAT_VERSION
from holdfast.vault.failing import visit
from holdfast.vault.index import ChunkAt, FrameRecord, encode_fragment
from holdfast.vault.repository import Repository

FRAME_SIZE = 1 << 20  # bytes of tar data after which a frame is closed
PACK_SIZE = 32 << 20  # compressed bytes after which a pack is closed
PACKS_PER_FRAGMENT = 32  # after so many an index fragment is published: a kill loses less work
LEVEL = 3

_BLOCK = 512
_QUEUED_FRAMES = 6
_END_OF_TAR = bytes(2 * _BLOCK)


def _blank_header() -> bytes:
    header = bytearray(_BLOCK)
    header[100:108] = b"0000600\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[136:148] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[156:157] = b"0"
    header[257:265] = b"ustar\00000"
    return bytes(header)


_HEADER = _blank_header()
_HEADER_SUM = sum(_HEADER)
_HEADER_MIDDLE, _HEADER_TIME, _HEADER_END = _HEADER[64:124], _HEADER[136:148], _HEADER[156:]


def tar_header(name: bytes, size: int) -> bytes:
    """The ustar header of a regular file; `name` has 64 bytes, `size` is below 8 GiB."""
    digits = b"%011o\0" % size
    checksum = _HEADER_SUM + sum(name) + sum(digits)
    return b"%b%b%b%b%06o\0 %b" % (
        name, _HEADER_MIDDLE, digits, _HEADER_TIME, checksum, _HEADER_END
    )  # fmt: skip


class PackWriter:
    """Stores chunks; `add` from one thread, then `finish` or `abort`.

    An error of the writing thread is raised by the next call.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._parts: list[bytes] = []
        self._size = 0
        self._chunks: list[ChunkAt] = []
        self._frames: queue.Queue[tuple[list[bytes], int, list[ChunkAt]] | None] = queue.Queue(
            _QUEUED_FRAMES
        )
        self._error: BaseException | None = None
        self._output = _Output(repository)
        self._thread = threading.Thread(target=self._run, name="holdfast-packs", daemon=True)
        self._thread.start()

    def add(self, chunk: str, data: bytes) -> None:
        """Store `data` (at most 8 GiB) whose BLAKE3 is `chunk`."""
        size = len(data)
        self._chunks.append(ChunkAt(chunk, self._size + _BLOCK, size))
        padding = -size % _BLOCK
        self._parts += (tar_header(chunk.encode(), size), data, bytes(padding))
        self._size += _BLOCK + size + padding
        if self._size >= FRAME_SIZE:
            self._close_frame()

    def finish(self) -> int:
        """Publish the last pack and the index; returns how many bytes of packs were written."""
        if self._chunks:
            self._close_frame()
        self._stop()
        if self._error is not None:
            raise self._error
        self._output.finish()
        return self._output.written

    @property
    def published(self) -> list[str]:
        """The packs published so far, in order."""
        return self._output.published

    def abort(self) -> None:
        """Give up. Packs already published stay, as garbage or for the next snapshot."""
        self._error = self._error or InterruptedError()
        self._stop()
        self._output.discard()

    def _close_frame(self) -> None:
        if self._error is not None:
            raise self._error
        self._frames.put((self._parts, self._size, self._chunks))
        self._parts, self._size, self._chunks = [], 0, []

    def _stop(self) -> None:
        self._frames.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (frame := self._frames.get()) is not None:
            if self._error is None:
                try:
                    self._output.add(*frame)
                except BaseException as error:
                    self._error = error  # and go on emptying the queue


class _Output:
    """The pack being written, and the index of those published since the last fragment."""

    def __init__(self, repository: Repository) -> None:
        self.written = 0
        self.published: list[str] = []
        self._repository = repository
        self._seal = repository.sealing.seal
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
        self._file: StagedFile | None = None
        self._hash = blake3()
        self._offset = 0
        self._open_frames: list[tuple[int, int, int, list[ChunkAt]]] = []
        self._records: list[FrameRecord] = []

    def add(self, parts: list[bytes], size: int, chunks: list[ChunkAt]) -> None:
        data = self._seal(self._compressor.compress(b"".join(parts)))
        self._open_frames.append((self._offset, len(data), size, chunks))
        self._write(data)
        if self._offset >= PACK_SIZE:
            self._close_pack()
            if len(self.published) % PACKS_PER_FRAGMENT == 0:
                self._publish_index()

    def finish(self) -> None:
        if self._open_frames:
            self._close_pack()
        if self._records:
            self._publish_index()

    def discard(self) -> None:
        if self._file is not None:
            self._file.discard()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            make_folder(self._repository.scratch, private=True)
            self._file = StagedFile(self._repository.scratch)
        self._hash.update(data)
        self._file.write(data)
        self._offset += len(data)

    def _close_pack(self) -> None:
        self._write(self._seal(self._compressor.compress(_END_OF_TAR)))
        pack = self._hash.hexdigest()
        path = self._repository.pack_path(pack)
        make_folder(path.parent, private=True)
        sync_folder(self._repository.packs)
        assert self._file is not None
        self._file.publish(path)
        remove(self._repository.mark_path(pack))  # the same content was about to be pruned
        visit("vault.pack.written", self._repository.root)
        self._records += [
            FrameRecord(pack, self._offset, offset, length, size, chunks)
            for offset, length, size, chunks in self._open_frames
        ]
        self.written += self._offset
        self.published.append(pack)
        self._file, self._hash, self._offset, self._open_frames = None, blake3(), 0, []

    def _publish_index(self) -> None:
        data = encode_fragment(self._repository.id, FORMAT_VERSION, self._records)
        self._repository.publish(self._repository.index, data)
        visit("vault.index.written", self._repository.root)
        self._records = []
