"""Who may come in: this machine's browser, through the link that was printed, and no other page.

Other pages in the same browser are kept out by the Host (DNS rebinding), by where a POST comes from
and by a token in each form; other users of this machine by the token in the link.
"""

import hmac
import secrets
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.web.problems import refusal

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_OPEN = "/static/"  # the refusal is a page too, and looks like one


class Keys:
    """The secrets of one serving process: of its links, its session and its forms."""

    def __init__(self, port: int) -> None:
        self.port = port
        # Cookies do not tell ports apart: two pages on one machine would share a name.
        self.cookie = f"holdfast-{port}"
        self.session = secrets.token_urlsafe(32)
        self.csrf = secrets.token_urlsafe(32)
        self._token = secrets.token_urlsafe(32)
        self._once: set[str] = set()

    @property
    def link(self) -> str:
        """The link to print; it opens the page as long as the process lives."""
        return f"http://127.0.0.1:{self.port}/?token={self._token}"

    def link_for_browser(self) -> str:
        """A link that opens the page once: a browser's arguments are seen by other users."""
        token = secrets.token_urlsafe(32)
        self._once.add(token)
        return f"http://127.0.0.1:{self.port}/?token={token}"

    def opens(self, token: str) -> bool:
        """Whether a link had this token; one that opens once is used up by it."""
        if _same(token, self._token):
            return True
        used = {each for each in self._once if _same(token, each)}
        self._once -= used
        return bool(used)

    def is_session(self, value: str) -> bool:
        """Whether a cookie is that of the session."""
        return _same(value, self.session)

    def is_csrf(self, value: str) -> bool:
        """Whether a form was made by this page."""
        return _same(value, self.csrf)


class Gate:
    """The outermost part of the application: refuses, or adds the headers that protect a page."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys
        self._hosts = {f"127.0.0.1:{keys.port}", f"localhost:{keys.port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._check(Request(scope, receive))
        await (answer or self._app)(scope, receive, protected)

    def _check(self, request: Request) -> Response | None:
        """What is answered instead of the page; None when the request may pass."""
        if request.headers.get("host") not in self._hosts:
            return _refuse(403, "This page answers to 127.0.0.1 alone.")
        if request.method not in ("GET", "HEAD") and not is_same_origin(request.headers):
            return _refuse(403, "This request comes from another page.")
        if request.url.path.startswith(_OPEN):
            return None
        if "token" in request.query_params and request.method == "GET":
            return self._exchange(request)
        if not self._keys.is_session(request.cookies.get(self._keys.cookie, "")):
            return _refuse(401, "This browser has not opened the link yet.")
        return None

    def _exchange(self, request: Request) -> Response:
        """Trade the token of the link for the session, and take it out of the address."""
        if not self._keys.opens(request.query_params["token"]):
            return _refuse(401, "This link is not, or no longer, valid.")
        rest = [pair for pair in parse_qsl(request.url.query) if pair[0] != "token"]
        # Never two slashes at its beginning: that would be the address of another host.
        path = "/" + request.url.path.lstrip("/\\")
        answer = RedirectResponse(path + ("?" + urlencode(rest) if rest else ""), 303)
        answer.set_cookie(
            self._keys.cookie, self._keys.session, httponly=True, samesite="strict", path="/"
        )
        return answer


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser says that this very page asks, or it is no browser that asks.

    A page that sends no referrer is said to be of the origin "null", as many others are.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    own = (None, f"http://{headers.get('host')}")
    return site == "same-origin" and origin in (*own, "null") if site else origin in own


def _refuse(status: int, message: str) -> Response:
    hint = "Open the link that 'holdfast ui' printed; run it again for a new one."
    return refusal(status, message, hint)


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())
