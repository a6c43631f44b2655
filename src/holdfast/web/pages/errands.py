"""What an errand says while it runs, and how it ended. In no navigation: pages lead to it."""

from collections.abc import Sequence
from typing import Any

from starlette.routing import Route

from holdfast.facade import Workspace
from holdfast.web.page import Asked, show


def routes() -> Sequence[Route]:
    return [show("/errands/{number}", "errand.html", errand)]


def errand(workspace: Workspace, asked: Asked) -> dict[str, Any]:
    """One errand and its output."""
    return {"errand": asked.errands.get(asked.path["number"])}
