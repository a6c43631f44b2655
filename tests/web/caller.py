"""Somebody who asks the page over a real socket, and says of itself whatever it likes."""

import http.client
from email.message import Message
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.web.browser import Served


class Answer(NamedTuple):
    status: int
    headers: Message
    body: str


class Caller:
    """Somebody who asks the page without a browser: ``caller.get("/")``."""

    def __init__(self, served: Served) -> None:
        self._port = served.port
        self.host = f"127.0.0.1:{served.port}"
        self.cookie = ""

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, b"", headers)

    def post(self, path: str, body: str = "", **headers: str) -> Answer:
        return self._ask("POST", path, body.encode(), headers)

    def enter(self, link: str) -> None:
        parts = urlsplit(link)
        answer = self.get(f"{parts.path}?{parts.query}")
        self.cookie = (answer.headers.get("Set-Cookie") or "").partition(";")[0]

    def csrf(self) -> str:
        page = self.get("/").body
        return page.partition('name="csrf" value="')[2].partition('"')[0]

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True)
            known = {"Host": self.host, "Cookie": self.cookie, "Content-Length": str(len(body))}
            for name, value in {**known, **_spelled(headers)}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()


def _spelled(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
