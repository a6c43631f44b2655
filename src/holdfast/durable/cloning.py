"""Files that share their blocks: reflinks, where the file system can."""

import errno
import os
import sys
from pathlib import Path

from holdfast.durable.names import long_path

_FICLONE = 0x40049409
_CANNOT = {
    errno.EOPNOTSUPP,
    errno.ENOTTY,
    errno.EINVAL,
    errno.EXDEV,
    errno.ENOSYS,
    errno.EPERM,
    errno.EBADF,
}

if sys.platform == "linux":

    def clone(source: Path, target: Path) -> bool:
        """Make `target` a reflink of the regular file `source`; False where that cannot be.

        The clone is of one moment, however the source changes. Raises `OSError`.
        """
        import fcntl

        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        read = os.open(long_path(source), os.O_RDONLY | os.O_NOFOLLOW)
        try:
            write = os.open(long_path(target), flags, 0o600)
            try:
                fcntl.ioctl(write, _FICLONE, read)
            except OSError as error:
                os.unlink(target)
                if error.errno in _CANNOT:
                    return False
                raise
            finally:
                os.close(write)
        finally:
            os.close(read)
        return True

else:

    def clone(source: Path, target: Path) -> bool:
        """Reflinks are made on Linux only; elsewhere the caller copies."""
        return False
