"""The application: all pages, the files beside them, errors as pages, the gate before it all."""

from collections.abc import Callable
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from holdfast.errors import HoldfastError
from holdfast.web import live
from holdfast.web.desk import Desk
from holdfast.web.errands import Errands
from holdfast.web.gate import Gate, Keys
from holdfast.web.pages import PAGES, all_routes
from holdfast.web.problems import holdfast_problem, http_problem, unexpected_problem
from holdfast.web.rendering import Notices
from holdfast.web.sampling import Samples

# Said here: what the system thinks of ".js" may be anything on Windows.
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def build_app(
    desk: Desk, keys: Keys, errands: Errands, samples: Samples, *, stopping: Callable[[], bool]
) -> ASGIApp:
    """The pages of one workspace; `stopping` ends what is live."""
    routes = [*all_routes(), *live.routes(), _static_files()]
    app = Starlette(
        routes=routes,
        exception_handlers={
            HoldfastError: holdfast_problem,
            HTTPException: http_problem,
            Exception: unexpected_problem,
        },
    )
    app.state.desk = desk
    app.state.keys = keys
    app.state.errands = errands
    app.state.samples = samples
    app.state.notices = Notices(keys.cookie)
    app.state.pages = PAGES
    app.state.name = desk.root.name
    app.state.stopping = stopping
    return Gate(app, keys)


def _static_files() -> Route:
    folder = files("holdfast.web") / "static"
    kept = {
        each.name: (each.read_bytes(), _TYPES[f".{each.name.rpartition('.')[2]}"])
        for each in folder.iterdir()
        if each.is_file()
    }

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in kept:
            raise HTTPException(404)
        content, media_type = kept[name]
        return Response(content, media_type=media_type)

    return Route("/static/{name}", file, methods=["GET"])
