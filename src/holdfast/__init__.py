"""Holdfast: the local-first storage layer and safety net of a workspace of agents and MCP servers.

The names below are the library; each is imported when it is first used.
"""

from holdfast.durable.exports import late

__version__ = "0.1.0"

TYPE_CHECKING = False  # typing takes longer to import than all the rest
if TYPE_CHECKING:
    from holdfast.errors import HoldfastError as HoldfastError
    from holdfast.events import EventLog as EventLog
    from holdfast.facade import Workspace as Workspace
    from holdfast.facade import get_registry as get_registry
    from holdfast.facade import open_workspace as open_workspace
    from holdfast.logs import get_logger as get_logger
    from holdfast.queues import Queue as Queue
    from holdfast.workflows import step as step
    from holdfast.workflows import workflow as workflow

_HOME_OF = {
    "EventLog": "holdfast.events",
    "HoldfastError": "holdfast.errors",
    "Queue": "holdfast.queues",
    "Workspace": "holdfast.facade",
    "get_logger": "holdfast.logs",
    "get_registry": "holdfast.facade",
    "open_workspace": "holdfast.facade",
    "step": "holdfast.workflows",
    "workflow": "holdfast.workflows",
}

__all__ = sorted([*_HOME_OF, "__version__"])


__getattr__ = late(__name__, _HOME_OF)


def __dir__() -> list[str]:
    return __all__
