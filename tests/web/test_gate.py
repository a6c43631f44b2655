"""Who may come in, and what protects those who are in; asked over real sockets."""

from pathlib import Path

import pytest

from holdfast.web.gate import HEADERS, Keys
from holdfast.web.pages import all_routes
from tests.conftest import Runner
from tests.web.browser import Served
from tests.web.caller import Caller


@pytest.fixture
def stranger(served: Served) -> Caller:
    return Caller(served)


@pytest.fixture
def guest(served: Served) -> Caller:
    caller = Caller(served)
    caller.enter(served.link)
    return caller


def test_only_the_link_lets_in(stranger: Caller, served: Served) -> None:
    answer = stranger.get("/")
    assert answer.status == 401
    assert served.root.name not in answer.body
    assert stranger.get("/live?stores=workflows").status == 401
    assert stranger.get("/?token=guess").status == 401
    assert stranger.post("/do", "command=holdfast+backup+create").status == 401
    assert stranger.get("/static/holdfast.css").status == 200

    stranger.enter(served.link)
    assert stranger.get("/").status == 200


def test_the_token_leaves_the_address_for_a_cookie_that_no_script_reads(
    stranger: Caller, served: Served
) -> None:
    token = served.link.partition("token=")[2]
    answer = stranger.get(f"/workflows?status=failed&token={token}")
    assert answer.status == 303
    assert answer.headers.get("Location") == "/workflows?status=failed"
    cookie = answer.headers.get("Set-Cookie") or ""
    assert token not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    # Never to another host.
    assert (
        stranger.get(f"//evil.example/?token={token}").headers.get("Location", "").startswith("/e")
    )


def test_another_host_name_is_refused_even_with_the_session(guest: Caller) -> None:
    for host in ("evil.example", "127.0.0.1", f"evil.example:{guest.host}", "127.0.0.1:1"):
        assert guest.get("/", Host=host).status == 403
    port = guest.host.rpartition(":")[2]
    assert guest.get("/", Host=f"localhost:{port}").status == 200


def test_a_form_of_another_page_is_refused(guest: Caller) -> None:
    body = f"csrf={guest.csrf()}&command=nothing"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": f"http://{guest.host}", "Sec_Fetch_Site": "none"},
    ):
        assert guest.post("/do", body, **headers).status == 403
    right = {"Origin": f"http://{guest.host}", "Sec_Fetch_Site": "same-origin"}
    assert guest.post("/do", body, **right).status == 400  # no such command


def test_every_form_needs_the_token_of_the_page(guest: Caller) -> None:
    forms = [route for route in all_routes() if "POST" in (route.methods or ())]
    assert forms
    for route in forms:
        path = route.path.replace("{", "").replace("}", "")
        for body in ("", "csrf=", "csrf=wrong"):
            answer = guest.post(path, body)
            assert answer.status == 403, path
            assert "not of this page" in answer.body


def test_no_page_is_both_shown_and_done() -> None:
    for route in all_routes():
        assert route.methods in ({"GET", "HEAD"}, {"POST"})


@pytest.mark.parametrize("path", ["/", "/nothing", "/static/holdfast.js"])
def test_every_answer_is_protected(guest: Caller, path: str) -> None:
    answer = guest.get(path)
    for name, value in HEADERS.items():
        assert answer.headers.get(name) == value
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert answer.headers.get("Server") is None


def test_what_does_not_exist_is_told_so(guest: Caller) -> None:
    for path in ("/nothing", "/static/nothing.css", "/static/..%2fgate.py", "/errands/99"):
        answer = guest.get(path)
        assert answer.status == 404, path
        assert "Not found" in answer.body
    assert guest.post("/workflows", "").status == 405


def test_a_form_too_large_is_refused(guest: Caller) -> None:
    assert guest.post("/do", "a" * 1_000_001).status == 400


def test_a_link_for_the_browser_opens_once() -> None:
    keys = Keys(1)
    token = keys.link_for_browser().partition("token=")[2]
    assert keys.opens(token)
    assert not keys.opens(token)
    for _ in range(2):
        assert keys.opens(keys.link.partition("token=")[2])


def test_a_port_that_is_taken_is_told(served: Served, holdfast: Runner, tmp_path: Path) -> None:
    done = holdfast("ui", "--no-browser", "--port", served.port, "-w", served.root)
    assert done.returncode == 1
    assert f"port {served.port}" in done.stderr
    assert holdfast("ui", "-w", tmp_path).returncode == 2
