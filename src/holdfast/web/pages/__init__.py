"""The pages, in the order of the navigation. One that is not in `_MODULES` is not there at all."""

from collections.abc import Sequence

from starlette.routing import Route

from holdfast.web.pages import (
    agents,
    backups,
    errands,
    events,
    overview,
    points,
    queues,
    servers,
    snapshots,
    workflows,
)

_MODULES = (overview, workflows, queues, events, agents, servers, backups)
_FURTHER = (snapshots, points, errands)  # pages lead to them

PAGES = tuple(module.PAGE for module in _MODULES)


def all_routes() -> Sequence[Route]:
    """What all pages show and do, and the errands they start."""
    return [route for module in (*_MODULES, *_FURTHER) for route in module.routes()]
