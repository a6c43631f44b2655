"""Whether a file is still the one that was read, told from its status alone."""

import os
import time

Signature = tuple[int, int, int, int, int]

# A file may be replaced twice within one tick of the system's clock and look the same. One that
# is not safely older than such a tick (16 ms on Windows) is therefore read again each time.
_TICK_NS = 100_000_000


def signature_of(status: os.stat_result) -> Signature:
    """What changes when the file is written or replaced: mtime, size, inode, device, ctime."""
    return (
        status.st_mtime_ns,
        status.st_size,
        status.st_ino,
        status.st_dev,
        status.st_ctime_ns,
    )


def settled(signature: Signature | None) -> bool:
    """Whether a file of this signature can be told apart from one written just after it."""
    return signature is not None and time.time_ns() - signature[0] > _TICK_NS
