"""Structured logs: one JSON object a line, in the workspace's ``logs/<component>.log``.

::

    log = get_logger("WorkflowEngine")
    log.info("Task completed", pages=12)
    # {"timestamp":"2025-01-20T10:30:00.123456Z","component":"WorkflowEngine","level":"INFO",
    #  "message":"Task completed","task_id":"workflow-123:task-456","pages":12}

`lines` the format · `logger` writing · `files` the shared file, rotation · `rotation` compression
and retention · `places` which folder · `redaction` known secrets · `handler`, `structlog` other
libraries' loggers · `reading` search.
"""

from typing import TYPE_CHECKING

from holdfast.durable.exports import late
from holdfast.logs.files import Rotation
from holdfast.logs.logger import Logger, close_loggers, get_logger, log_context, use_directory

if TYPE_CHECKING:
    from holdfast.logs.handler import HoldfastHandler as HoldfastHandler
    from holdfast.logs.reading import Record as Record
    from holdfast.logs.reading import Search as Search
    from holdfast.logs.reading import search as search
    from holdfast.logs.redaction import redact as redact
    from holdfast.logs.structlog import HoldfastProcessor as HoldfastProcessor

_LATE = {
    "HoldfastHandler": "holdfast.logs.handler",
    "HoldfastProcessor": "holdfast.logs.structlog",
    "Record": "holdfast.logs.reading",
    "Search": "holdfast.logs.reading",
    "redact": "holdfast.logs.redaction",
    "search": "holdfast.logs.reading",
}

__all__ = [
    "HoldfastHandler",
    "HoldfastProcessor",
    "Logger",
    "Record",
    "Rotation",
    "Search",
    "close_loggers",
    "get_logger",
    "log_context",
    "redact",
    "search",
    "use_directory",
]

__getattr__ = late(__name__, _LATE)
