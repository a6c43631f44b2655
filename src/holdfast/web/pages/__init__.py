"""The pages, in the order of the navigation. One that is not in `_MODULES` is not there at all."""

from collections.abc import Sequence

from starlette.routing import Route

from holdfast.web.pages import (
    disk,
    errands,
    events,
    logs,
    overview,
    queues,
    security,
    settings,
    workflows,
)

_MODULES = (overview, workflows, queues, events, logs, disk, settings, security)

PAGES = tuple(module.PAGE for module in _MODULES)


def all_routes() -> Sequence[Route]:
    """What all pages show and do, and the errands they start."""
    return [route for module in (*_MODULES, errands) for route in module.routes()]
