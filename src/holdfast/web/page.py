"""The shape of a page: what it is called, what it shows, what it does. See the package."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import anyio.to_thread
from markupsafe import Markup
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from holdfast.errors import RefusedError, UsageError
from holdfast.facade import Workspace
from holdfast.web.desk import Desk
from holdfast.web.errands import Errand, Errands
from holdfast.web.rendering import link, render
from holdfast.web.sampling import Samples
from holdfast.workspace.layout import Layout

_LARGEST_FORM = 1_000_000  # bytes
_MOST_FIELDS = 1_000
_PATIENCE = 8.0  # seconds that a small errand is waited for
_LINES_TOLD = 3


class Page(NamedTuple):
    """A page's place in the navigation: its title, its path, its icon in ``icons.html``."""

    title: str
    path: str
    icon: str


class Done(NamedTuple):
    """What an action ends with: the path to go on at, and what to tell there."""

    to: str
    told: str = ""


@dataclass(frozen=True)
class Asked:
    """What somebody asked for: parts of the path, fields of the query or of the form.

    `at` is the path of the page it is for, `settings` are those that all were served with.
    """

    path: dict[str, str]
    fields: QueryParams
    errands: Errands
    samples: Samples
    at: str = "/"
    settings: tuple[str, ...] = ()

    def start(self, line: Sequence[str]) -> Errand:
        """Run ``holdfast`` with the words of `line`; what it says leads back to this page."""
        return self.errands.start(line, self.at)

    def text(self, name: str) -> str | None:
        """A field that was filled in, without the space around it."""
        return self.fields.get(name, "").strip() or None

    def number(self, name: str, default: int | None = None) -> int | None:
        """A field that holds a whole number of at least 0. Raises `UsageError`."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise UsageError(f"{name} is no whole number: {text!r}")
        return int(text)

    def moment(self, name: str) -> datetime | None:
        """A field that holds a time of this machine's zone. Raises `UsageError`."""
        text = self.text(name)
        try:
            return None if text is None else datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError) as error:
            raise UsageError(
                f"{name} is no time: {text!r}", hint="for example 2026-11-25T18:30"
            ) from error


def after(asked: Asked, errand: Errand, to: str) -> Done:
    """Where to go after an errand: `to`, with its last words, if it succeeds soon; else to it."""
    if not asked.errands.wait(errand, _PATIENCE) or errand.state != "succeeded":
        return Done(link("/errands", errand.id))
    return Done(to, "; ".join(list(errand.said)[-_LINES_TOLD:]) or "Done")


View = Callable[[Workspace, Asked], dict[str, Any]]
Action = Callable[[Workspace, Asked], Done]
Through = Callable[..., Awaitable[Any]]
"""The way of a desk that views and actions are called by."""


def show(path: str, template: str, view: View) -> Route:
    """A page at `path`: `template`, with what `view` returns."""
    return _show(path, template, view, Desk.look)


def act(path: str, action: Action) -> Route:
    """A form at `path`: done only when this page made the form."""
    return _act(path, action, Desk.do)


def show_unopened(
    path: str, template: str, view: Callable[[Layout, Asked], dict[str, Any]]
) -> Route:
    """As `show`, for a page that is there also when the settings cannot be read."""
    return _show(path, template, view, Desk.look_at)


def act_unopened(path: str, action: Callable[[Layout, Asked], Done]) -> Route:
    """As `act`, for what is done also when the settings cannot be read."""
    return _act(path, action, Desk.do_at)


def _show(
    path: str, template: str, view: Callable[[Any, Asked], dict[str, Any]], look: Through
) -> Route:
    async def endpoint(request: Request) -> Response:
        asked = asked_of(request, request.query_params)
        data = await look(request.app.state.desk, partial(_given, view, asked))
        return await anyio.to_thread.run_sync(render, request, template, {"asked": asked, **data})

    return Route(path, endpoint, methods=["GET"], name=template)


def _act(path: str, action: Callable[[Any, Asked], Done], do: Through) -> Route:
    async def endpoint(request: Request) -> Response:
        fields = await _form(request)
        if not request.app.state.keys.is_csrf(fields.get("csrf", "")):
            raise RefusedError("this form is not of this page", hint="go back, load it again")
        asked = asked_of(request, fields)
        label = f"ui {request.url.path}"
        done: Done = await do(request.app.state.desk, label, partial(_given, action, asked))
        # A `link` is escaped for pages.
        to = done.to.unescape() if isinstance(done.to, Markup) else done.to
        answer = RedirectResponse(to, 303)
        if done.told:
            request.app.state.notices.leave(answer, done.told)
        return answer

    return Route(path, endpoint, methods=["POST"], name=f"{action.__module__}.{action.__name__}")


def asked_of(request: Request, fields: QueryParams) -> Asked:
    """What the request asks for."""
    state = request.app.state
    at = "/" + request.url.path.split("/", 2)[1]
    return Asked(request.path_params, fields, state.errands, state.samples, at, state.desk.settings)


def _given(function: Callable[[Any, Asked], Any], asked: Asked, given: Any) -> Any:
    return function(given, asked)


async def _form(request: Request) -> QueryParams:
    """The fields of a form. Raises `UsageError` when it is too large or none."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_FORM:
            raise UsageError(f"the form is larger than {_LARGEST_FORM} bytes")
    try:
        text = body.decode("ascii")
        return QueryParams(parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise UsageError(f"the form cannot be read: {error}") from error
