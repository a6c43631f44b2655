"""Waiting out Windows' sharing violations.

On Windows a file that a virus scanner, an indexer or a sync client has open cannot be replaced or
removed for a moment (errors 5, 32 and 33). Such calls are repeated with growing pauses for about
two seconds; then the error is raised and the old file is still there. Elsewhere the call is made
once: a POSIX system never answers so.
"""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

_SHARING_ERRORS = {5, 32, 33}  # access denied, sharing violation, lock violation
_PAUSES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.5, 0.7)

if sys.platform == "win32":

    def patiently(call: Callable[[], Result]) -> Result:
        """Make `call`, again while another program holds the file open."""
        for pause in _PAUSES:
            try:
                return call()
            except OSError as error:
                if error.winerror not in _SHARING_ERRORS:
                    raise
            time.sleep(pause)
        return call()

else:

    def patiently(call: Callable[[], Result]) -> Result:
        """Make `call`; only Windows needs a second try."""
        return call()
