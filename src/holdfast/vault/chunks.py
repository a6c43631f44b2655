"""Reading chunks back: by frame, each checked against its id."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import zstandard

from holdfast.durable.names import long_path
from holdfast.errors import CorruptError, HoldfastError, LockedError, storage_errors
from holdfast.vault.entries import Entry
from holdfast.vault.index import Frame, Index
from holdfast.vault.repository import Repository

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_KEPT_FRAMES = 12


class ChunkReader:
    """Reads chunks of a vault; the last few frames are kept. Safe to use from many threads."""

    def __init__(self, repository: Repository, index: Index) -> None:
        self.index = index
        self.repository = repository
        self._frames: OrderedDict[int, bytes] = OrderedDict()
        self._descriptors: dict[str, int] = {}
        self._lock = threading.Lock()
        self._local = threading.local()
        # Whoever reads frame after frame gets the next one decrypted and decompressed meanwhile.
        self._ahead: dict[int, Future[bytes]] = {}
        self._helper: ThreadPoolExecutor | None = None
        self._newest = -2

    def __enter__(self) -> "ChunkReader":
        return self

    def __exit__(self, *_: object) -> None:
        if self._helper is not None:
            self._helper.shutdown(cancel_futures=True)
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def read(self, chunk: str) -> bytes:
        """The bytes of `chunk`. Raises `CorruptError` naming the pack when they are not right."""
        place = self.index.place(chunk)
        if place is None and self.index.locked:
            raise LockedError(
                f"the chunk {chunk[:16]} is encrypted for another key", path=self.repository.packs
            )
        if place is None:
            raise CorruptError(
                f"no readable pack holds the chunk {chunk[:16]}",
                path=self.repository.packs,
                hint="look for the damage with: holdfast backup verify --full",
            )
        data = self.frame(place.frame)[place.offset : place.offset + place.length]
        if not self.repository.sealing.matches(chunk, data):
            raise self._corrupt(self.index.frames[place.frame], "a chunk does not match its id")
        return data

    def content(self, entry: Entry) -> Iterator[bytes]:
        """The content of a file, piece by piece. Raises `CorruptError`."""
        size = 0
        for chunk in entry.chunks:
            piece = self.read(chunk)
            size += len(piece)
            yield piece
        if size != entry.size:
            raise CorruptError(
                f"{size} bytes instead of {entry.size}", path=self.repository.snapshots
            )

    def frame(self, number: int) -> bytes:
        """The tar data of a frame."""
        with self._lock:
            data = self._frames.get(number)
            begun = self._ahead.pop(number, None)
        if data is not None:
            return data
        self._read_ahead(number)
        data = begun.result() if begun else self._decompress(self.index.frames[number])
        with self._lock:
            self._frames[number] = data
            if len(self._frames) > _KEPT_FRAMES:
                self._frames.popitem(last=False)
        return data

    def _read_ahead(self, number: int) -> None:
        """Begin with the frame after `number`, if that came after the one before."""
        follows, self._newest = number == self._newest + 1, number
        if not follows or number + 1 >= len(self.index.frames):
            return
        with self._lock:
            if number + 1 in self._frames or number + 1 in self._ahead:
                return
            if self._helper is None:
                from concurrent.futures import ThreadPoolExecutor

                self._helper = ThreadPoolExecutor(1, "holdfast-frames")
            frame = self.index.frames[number + 1]
            self._ahead = {number + 1: self._helper.submit(self._decompress, frame)}

    def _decompress(self, frame: Frame) -> bytes:
        place = self.repository.pack_path(frame.pack)
        raw = self.repository.sealing.unseal(self._read_pack(frame), place)
        if not hasattr(self._local, "decompressor"):
            self._local.decompressor = zstandard.ZstdDecompressor()
        try:
            data: bytes = self._local.decompressor.decompress(
                raw, max_output_size=frame.raw_length, allow_extra_data=False
            )
        except zstandard.ZstdError as error:
            raise self._corrupt(frame, str(error)) from error
        if len(data) != frame.raw_length:
            raise self._corrupt(frame, f"{len(data)} bytes instead of {frame.raw_length}")
        return data

    def _read_pack(self, frame: Frame) -> bytes:
        path = self.repository.pack_path(frame.pack)
        with storage_errors(path, "read the pack"), self._lock:
            descriptor = self._descriptors.get(frame.pack)
            if descriptor is None:
                flags = os.O_RDONLY | getattr(os, "O_BINARY", 0)
                descriptor = self._descriptors[frame.pack] = os.open(long_path(path), flags)
            os.lseek(descriptor, frame.offset, os.SEEK_SET)
            return os.read(descriptor, frame.length)

    def _corrupt(self, frame: Frame, problem: str) -> HoldfastError:
        return CorruptError(
            f"damaged pack at byte {frame.offset}: {problem}",
            path=self.repository.pack_path(frame.pack),
            hint="other files and snapshots can still be restored",
        )
