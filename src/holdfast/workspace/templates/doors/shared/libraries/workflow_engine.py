"""The durable workflow engine of this workspace.

::

    from shared.libraries.workflow_engine import get_engine, step, workflow
"""

from pathlib import Path

import holdfast
from holdfast import step, workflow
from holdfast.workflows import Workflows

__all__ = ["get_engine", "step", "workflow"]

_WORKSPACE = Path(__file__).parents[2]


def get_engine() -> Workflows:
    """The engine that keeps this workspace's runs; workflows started from now on use it."""
    return holdfast.open_workspace(_WORKSPACE).workflows
