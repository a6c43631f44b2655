"""Waiting out Windows' sharing violations.

On Windows a file that a virus scanner, an indexer or a sync client has open cannot be replaced or
removed for a moment (errors 5, 32 and 33). Such calls are repeated with growing pauses for about
two seconds; then the error is raised and the old file is still there. Elsewhere the call is made
once: a POSIX system never answers so.
"""

import errno
import sys
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_SHARING_ERRORS = {5, 32, 33}  # access denied, sharing violation, lock violation
_PAUSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.5, 0.7)

if sys.platform == "win32":

    def _is_sharing_violation(error: OSError) -> bool:
        # `open` and `os.open` go through the C library, which tells no Windows error.
        if error.winerror is None:
            return error.errno == errno.EACCES
        return error.winerror in _SHARING_ERRORS

    def patiently(call: Callable[[], Result]) -> Result:
        """Make `call`, again while another program holds the file open."""
        for pause in _PAUSES:
            try:
                return call()
            except OSError as error:
                if not _is_sharing_violation(error):
                    raise
            time.sleep(pause)
        return call()

else:

    def patiently(call: Callable[[], Result]) -> Result:
        """Make `call`; only Windows needs a second try."""
        return call()
