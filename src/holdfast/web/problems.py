"""Errors as pages: what is wrong, where, and the next thing to do."""

from collections.abc import Mapping

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from holdfast.errors import (
    BusyError,
    ConflictError,
    HoldfastError,
    NotFoundError,
    RefusedError,
    UsageError,
)
from holdfast.web.rendering import render, templates

# The first that fits.
_STATUSES: tuple[tuple[type[HoldfastError], int], ...] = (
    (NotFoundError, 404),
    (UsageError, 400),
    (RefusedError, 403),
    (BusyError, 409),
    (ConflictError, 409),
)


async def holdfast_problem(request: Request, error: Exception) -> Response:
    """The page of a `HoldfastError`."""
    assert isinstance(error, HoldfastError)
    status = next((number for kind, number in _STATUSES if isinstance(error, kind)), 500)
    return await _problem(request, status, error.as_dict())


async def http_problem(request: Request, error: Exception) -> Response:
    """The page of an address that is none."""
    assert isinstance(error, HTTPException)
    facts = {"message": error.detail, "path": request.url.path, "hint": None}
    if error.status_code == 404:
        facts["message"], facts["hint"] = "There is no such page.", "Choose one on the left."
    return await _problem(request, error.status_code, facts)


async def unexpected_problem(request: Request, error: Exception) -> Response:
    """The page of a fault of Holdfast; the server tells the rest on standard error."""
    facts = {
        "message": f"{type(error).__name__}: {error}",
        "path": None,
        "hint": "This is a fault of Holdfast. The terminal that runs it shows where.",
    }
    return await _problem(request, 500, facts)


def refusal(status: int, message: str, hint: str) -> Response:
    """The page of somebody who may not come in: it tells nothing of the workspace."""
    page = templates().get_template("refused.html")
    return HTMLResponse(page.render(message=message, hint=hint), status)


async def _problem(request: Request, status: int, facts: Mapping[str, object]) -> Response:
    data = {"status": status, "facts": facts}
    return await anyio.to_thread.run_sync(render, request, "problem.html", data, status)
