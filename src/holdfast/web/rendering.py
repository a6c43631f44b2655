"""Templates: what is printed is escaped, its secrets masked, its times and sizes readable."""

import functools
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from holdfast import __version__
from holdfast.claude.masking import mask, mask_everywhere

_LONGEST_JSON = 20_000  # characters
_BRIEF = 120  # characters
_SHORTEST = 8  # characters; what is shorter is not taken for a secret anywhere
_SEED_KEYS = frozenset(("timestamp", "component", "level", "message"))
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


class Notices:
    """What an action tells on the page that comes after it, once."""

    def __init__(self, cookie: str) -> None:
        self._cookie = f"{cookie}-notice"
        self._texts: dict[str, str] = {}

    def leave(self, answer: Response, text: str) -> None:
        """Tell `text` on the page that the answer leads to."""
        key = secrets.token_urlsafe(8)
        self._texts[key] = text
        answer.set_cookie(self._cookie, key, httponly=True, samesite="strict", path="/")

    def take(self, request: Request) -> str | None:
        """What to tell on this page; the parts of it that are renewed leave it to the page."""
        if "x-holdfast-live" in request.headers:
            return None
        return self._texts.pop(request.cookies.get(self._cookie, ""), None)


def render(
    request: Request, template: str, data: Mapping[str, Any], status: int = 200
) -> HTMLResponse:
    """A page: the template, with `data` and what every page has."""
    state = request.app.state
    path = request.url.path
    text = (
        templates()
        .get_template(template)
        .render(
            {
                "pages": state.pages,
                "here": path,
                "csrf": Markup(state.keys.csrf),  # noqa: S704 - made of letters, digits, - and _
                "notice": state.notices.take(request),
                "workspace_name": state.name,
                "version": __version__,
                **data,
            }
        )
    )
    return HTMLResponse(text, status)


@functools.cache
def templates() -> Environment:
    """The templates of all pages."""
    made = Environment(
        loader=PackageLoader("holdfast.web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"link": link, "when": when, "now": lambda: datetime.now(UTC)}
    filters: dict[str, Callable[..., Any]] = {
        "as_json": as_json,
        "brief": brief,
        "typed": typed,
        "size": readable_size,
        "number": lambda number: f"{number:,}",
        "lasting": lasting,
        "local": local_time,
        "log_time": log_time,
        "further": further,
    }
    made.filters |= filters
    return made


def link(path: str, /, *parts: object, **query: object) -> Markup:
    """A path below `path`, its parts and the query quoted; a query without value is left out."""
    address = "/".join([path.rstrip("/"), *(quote(str(part), safe="") for part in parts)]) or "/"
    asked = {key: str(value) for key, value in query.items() if value not in (None, "")}
    return escape(address + (f"?{urlencode(asked)}" if asked else ""))


def typed(value: object) -> Markup:
    """What somebody typed, given back to them as it is."""
    return escape("" if value is None else value)


def as_json(value: Any) -> str:
    """Plain data as indented JSON, secrets masked, its end left out when it is long."""
    text = msgspec.json.format(_encoded(value, _LONGEST_JSON), indent=2).decode()
    return _cut(mask_everywhere(text[: 2 * _LONGEST_JSON]), _LONGEST_JSON)


def brief(value: Any, length: int = _BRIEF) -> str:
    """Plain data on one line, secrets masked; a text is shown without its quotes."""
    text = value if isinstance(value, str) else _encoded(value, 4 * length).decode()
    return _cut(" ".join(mask_everywhere(text[: 8 * length]).split()), length)


def readable_size(size: float) -> str:
    """A number of bytes as people read it, e.g. ``1.5 MB`` (powers of 1000)."""
    if size < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def lasting(seconds: float | timedelta) -> str:
    """A duration as people read it, e.g. ``340 ms`` or ``2 min 5 s``."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds < 0.001:
        return "< 1 ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for length, unit, smaller, small in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= length:
            whole, rest = divmod(int(seconds), length)
            return f"{whole} {unit} {rest // smaller} {small}"
    raise AssertionError


def when(moment: datetime | float | None, missing: str = "never") -> Markup:
    """A moment as ``<time>``: how long ago it was, and the exact time of this machine on top."""
    if moment is None:
        return escape(missing)
    if isinstance(moment, int | float):
        moment = datetime.fromtimestamp(moment, UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.isoformat(timespec="seconds"), local_time(moment), _ago(moment)
    )


def local_time(moment: datetime | float) -> str:
    """A moment in the zone of this machine, to the second."""
    if isinstance(moment, int | float):
        moment = datetime.fromtimestamp(moment, UTC)
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def log_time(key: str) -> str:
    """The time of a log line in the zone of this machine, to the millisecond."""
    moment = datetime.fromisoformat(key[:26] + "+00:00").astimezone()
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3]


def further(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a log line says beyond its time, component, level and message."""
    return {key: value for key, value in data.items() if key not in _SEED_KEYS}


def _ago(moment: datetime) -> str:
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for length, unit in _UNITS:
        if abs(seconds) >= length:
            count = f"{abs(seconds) / length:.0f} {unit}"
            return f"{count} ago" if seconds > 0 else f"in {count}"
    return "just now"


def _encoded(value: Any, length: int) -> bytes:
    """`value` as JSON, its secrets masked; of what is long only what may come to be seen."""
    return msgspec.json.encode(mask(_bounded(msgspec.to_builtins(value, str_keys=True), length)))


def _bounded(value: Any, length: int) -> Any:
    """Plain data without what is beyond `length` characters of a text or items of a list."""
    if isinstance(value, str):
        return _cut(value, length)
    if isinstance(value, dict):
        return {key: _bounded(inner, length) for key, inner in islice(value.items(), length)}
    if isinstance(value, list):
        return [_bounded(inner, length) for inner in value[:length]]
    return value


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def _printed(value: object) -> object:
    """What a template prints: without its secrets, unless this package made it."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value if len(value) < _SHORTEST and value.isascii() else _masked(value)
    return "" if value is None else value


@functools.lru_cache(maxsize=8_192)
def _masked(text: str) -> str:
    # A lone surrogate (an odd file name) is no text that can be sent.
    return mask_everywhere(text.encode("utf-8", "backslashreplace").decode())
