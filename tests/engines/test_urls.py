"""Engine URLs: a path survives the way there and back, a password is never shown."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.engines.urls import parse_url, url_for, without_password
from holdfast.errors import UsageError

characters = st.characters(exclude_categories=["Cs"], exclude_characters="/\0\\:")
part = st.text(characters, min_size=1, max_size=12).filter(lambda text: text.strip(". "))


@given(st.sampled_from(["file", "json", "sqlite"]), st.lists(part, min_size=1, max_size=4))
def test_any_path_round_trips(scheme: str, parts: list[str]) -> None:
    path = Path(Path.cwd().anchor, *parts)
    assert parse_url(url_for(scheme, path)).require_path() == path
    assert parse_url(url_for(scheme, path)).scheme == scheme


def test_relative_paths_become_absolute() -> None:
    assert parse_url(url_for("file", Path("a b"))).path == Path("a b").absolute()


if sys.platform == "win32":

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///C:/data/state.db", "C:/data/state.db"),
            ("sqlite:///c%3A/data/a%23b.db", "c:/data/a#b.db"),
            ("file:////server/share/queues", "//server/share/queues"),
            ("file://server/share/queues", "//server/share/queues"),
            ("file://localhost/C:/queues", "C:/queues"),
        ],
    )
    def test_windows_paths(url: str, path: str) -> None:
        assert parse_url(url).path == Path(path)

    @pytest.mark.parametrize("path", ["//server/share/a b", "C:/x/y", "\\\\?\\C:\\x\\y"])
    def test_windows_round_trips(path: str) -> None:
        expected = Path(path.removeprefix("\\\\?\\"))
        assert parse_url(url_for("sqlite", Path(path))).path == expected

else:

    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:////srv/data/state.db", "/srv/data/state.db"),
            ("sqlite:///srv/data/state.db", "/srv/data/state.db"),
            ("file:///srv/a%20b%3Fc", "/srv/a b?c"),
            ("file://localhost/srv/x", "/srv/x"),
            ("FILE:///srv/x", "/srv/x"),
            ("json:///C:/x", "/C:/x"),
            ("file:///caf%E9", "/caf\udce9"),
        ],
    )
    def test_posix_paths(url: str, path: str) -> None:
        assert parse_url(url).path == Path(path)

    def test_names_that_are_no_text_round_trip() -> None:
        path = Path("/srv/caf\udce9")
        assert parse_url(url_for("file", path)).path == path


def test_other_engines_have_no_path() -> None:
    for text in ("memory://", "redis://localhost:6379/0", "postgresql://u@h/db"):
        url = parse_url(text)
        assert (url.text, url.path) == (text, None)
        with pytest.raises(UsageError, match="needs a path"):
            url.require_path()
    assert parse_url("sqlite:///srv/x?mode=a&empty=").options == {"mode": "a", "empty": ""}


@pytest.mark.parametrize(
    "bad",
    ["", "nothing", "C:\\work", "http://x", "file://", "file:///", "sqlite:", "redis://[::1"]
    + ["file:///a#b", "file:///a%00b"]
    + ([] if sys.platform == "win32" else ["file://host/share", "sqlite://srv/x"]),
)
def test_bad_urls(bad: str) -> None:
    with pytest.raises(UsageError):
        parse_url(bad)


def test_a_password_is_never_shown() -> None:
    text = "redis://me:s3cr3t@host:1/0"
    url = parse_url(text)
    assert url.text == text
    assert without_password(text) == "redis://me:***@host:1/0"
    assert "s3cr3t" not in f"{url} {url!r}"
    for bad in ("rediz://:s3cr3t@host", "postgres://me:s3cr3t@[host/db"):
        with pytest.raises(UsageError) as caught:
            parse_url(bad)
        assert "s3cr3t" not in str(caught.value)
    assert without_password("file:///a:b@c") == "file:///a:b@c"
