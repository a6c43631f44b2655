"""Every client's file in every broken form: a clear error or it works, and no byte is lost."""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from holdfast.claude.places import claude_places
from holdfast.errors import HoldfastError
from holdfast.facade import Workspace, open_workspace
from holdfast.registry.clients.importing import import_servers
from holdfast.registry.clients.syncing import former_versions, sync_servers
from holdfast.registry.clients.watching import look
from holdfast.services.putting_back import put_back
from holdfast.services.verification import verify_configuration
from holdfast.workspace.creation import create
from tests.registry.clients.conftest import CLAUDE_JSON

SERVERS = b'"mcpServers": {'
TWIN = b'"Mine": {"command": "echo", "args": ["twin"]}, "mine": {'

# What the file is made of, and whether it can be read.
FORMS: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "sound": (lambda text: text, True),
    "torn": (lambda text: text[: len(text) // 2], False),
    "empty": (lambda text: b"", False),
    "NULs": (lambda text: b"\0" * len(text), False),
    "torn-NULs": (lambda text: text[:60] + b"\0" * 400, False),
    "BOM": (lambda text: b"\xef\xbb\xbf" + text, True),
    "CRLF": (lambda text: text.replace(b"\n", b"\r\n"), True),
    "BOM-CRLF": (lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"), True),
    "UTF-16": (lambda text: text.decode().encode("utf-16"), False),
    "twice": (lambda text: text.replace(SERVERS, SERVERS + b'"mine": {}, ', 1), False),
    "two-blocks": (lambda text: text.replace(SERVERS, b'"mcpServers": {}, ' + SERVERS, 1), False),
    "twins": (lambda text: text.replace(b'"mine": {', TWIN, 1), True),
    "no-object": (lambda text: b"[" + text + b"]", False),
}
PLACES = ("user", "project", "desktop")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    layout = create(tmp_path / "home" / "development", home=tmp_path / "home").layout
    opened = open_workspace(layout.root)
    opened.servers.add("ours", command="echo", args=["ours"])
    return opened


def place_of(workspace: Workspace, place: str) -> Path:
    layout = workspace.layout
    path = {
        "user": layout.home / ".claude.json",
        "project": layout.root / ".mcp.json",
        "desktop": claude_places(layout.home).desktop_configs()[0],
    }[place]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def sync(workspace: Workspace, place: str) -> object:
    if place == "desktop":
        return sync_servers(workspace.servers, workspace.layout, "desktop")
    scope = "project" if place == "project" else "user"
    return sync_servers(workspace.servers, workspace.layout, "code", scope=scope)  # type: ignore[arg-type]


def problem_of(act: Callable[[], object], path: Path) -> str | None:
    """How `act` fails, in words that name the file; None when it works."""
    problem: HoldfastError | None = None
    try:
        act()
    except HoldfastError as error:
        problem = error
    assert problem is None or str(path) in str(problem)
    return problem.message if problem else None


def everything_kept(workspace: Workspace, path: Path) -> set[bytes]:
    """The bytes of the file now, and all that is kept of it."""
    versions = former_versions(workspace.layout, path).list()
    aside = (workspace.layout.state / "guests").rglob("*")
    found = {each.read() for each in versions} | {p.read_bytes() for p in aside if p.is_file()}
    with suppress(OSError):
        found.add(path.read_bytes())
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_a_clear_error_or_it_works(workspace: Workspace, place: str, form: str) -> None:
    make, readable = FORMS[form]
    path, layout = place_of(workspace, place), workspace.layout
    content = make(CLAUDE_JSON)
    path.write_bytes(CLAUDE_JSON)
    assert look(layout) == []
    path.write_bytes(content)

    found = [each for each in verify_configuration(workspace) if each.subject == str(path)]
    assert any(each.problem is None for each in found) == readable, found
    alarms = [each.kind for each in look(layout)]
    assert alarms == ([] if readable else ["torn"])
    client = "desktop" if place == "desktop" else "code"
    assert (
        problem_of(lambda: import_servers(workspace.servers, layout, client), path) is None
    ) == (readable)
    assert (problem_of(lambda: sync(workspace, place), path) is None) == readable
    assert content in everything_kept(workspace, path)
    if readable:
        after = path.read_bytes()
        assert after.startswith(b"\xef\xbb\xbf") == content.startswith(b"\xef\xbb\xbf")
        assert after.count(b"\r\n") in (0, after.count(b"\n"))
        data = json.loads(after.decode("utf-8-sig"))
        assert {"mine", "ours"} <= set(data["mcpServers"])
        assert data["oauthAccount"] == {"accountUuid": "u", "x": [1.0, 2]}
        assert ("Mine" in data["mcpServers"]) == (form == "twins")
    else:
        assert path.read_bytes() == content, "what cannot be read is left alone"
        put_back(workspace, path)
        assert path.read_bytes() == CLAUDE_JSON
        assert content in everything_kept(workspace, path)


@pytest.mark.parametrize("place", PLACES)
def test_a_link_is_followed_and_stays(workspace: Workspace, tmp_path: Path, place: str) -> None:
    path, real = place_of(workspace, place), tmp_path / "dotfiles.json"
    real.write_bytes(CLAUDE_JSON)
    try:
        path.symlink_to(real)
    except OSError:
        pytest.skip("this user may make no links")
    sync(workspace, place)
    assert path.is_symlink()
    assert "ours" in json.loads(real.read_bytes())["mcpServers"]
    real.unlink()
    assert [each.kind for each in look(workspace.layout)] in ([], ["gone"])
    problem_of(lambda: sync(workspace, place), path)
    assert path.is_symlink(), "also one that leads nowhere"


@pytest.mark.parametrize("place", PLACES)
def test_a_read_only_file_is_refused(workspace: Workspace, place: str) -> None:
    path = place_of(workspace, place)
    path.write_bytes(CLAUDE_JSON)
    path.chmod(0o444)
    try:
        assert "read-only" in str(problem_of(lambda: sync(workspace, place), path))
        assert path.read_bytes() == CLAUDE_JSON
        client = "desktop" if place == "desktop" else "code"
        assert import_servers(workspace.servers, workspace.layout, client).added == ["mine"]
    finally:
        path.chmod(0o644)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """What another program does that has the file: its lock, and on Windows no sharing at all."""
    lock = path.with_name(path.name + ".lock")
    lock.mkdir()
    try:
        if sys.platform == "win32":
            import ctypes
            from ctypes import wintypes

            open_file = ctypes.windll.kernel32.CreateFileW
            open_file.restype = wintypes.HANDLE
            handle = open_file(str(path), 0x80000000, 0, None, 3, 0, None)
            try:
                yield
            finally:
                ctypes.windll.kernel32.CloseHandle(wintypes.HANDLE(handle))
        else:
            import fcntl

            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
    finally:
        lock.rmdir()


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_another_program_has_is_waited_for(workspace: Workspace, place: str) -> None:
    path = place_of(workspace, place)
    path.write_bytes(CLAUDE_JSON)
    begun, released = threading.Event(), threading.Event()

    def hold() -> None:
        with held(path):
            begun.set()
            released.wait(0.5)

    holder = threading.Thread(target=hold)
    holder.start()
    begun.wait()
    sync(workspace, place)
    released.set()
    holder.join()
    assert "ours" in json.loads(path.read_bytes())["mcpServers"]
    assert not path.with_name(path.name + ".lock").exists()


@pytest.mark.slow
@pytest.mark.parametrize("place", ["user", "project"])
def test_two_hundred_megabytes(workspace: Workspace, place: str) -> None:
    path = place_of(workspace, place)
    line = b',\n        {"display": "mend the module please", "pasted": {}}'
    with path.open("wb") as large:
        large.write(b'{\n  "history": [\n        1')
        large.write(line * (200_000_000 // len(line)))
        large.write(b"\n  ],\n" + CLAUDE_JSON[2:])
    size = path.stat().st_size
    client = "desktop" if place == "desktop" else "code"
    assert import_servers(workspace.servers, workspace.layout, client).added == ["mine"]
    sync(workspace, place)
    with path.open("rb") as large:
        assert large.read(30) == b'{\n  "history": [\n        1,\n  '
        large.seek(size - len(CLAUDE_JSON))
        assert b'"ours"' in large.read()
    os.truncate(path, size // 2)
    assert problem_of(lambda: sync(workspace, place), path) is not None
    assert path.stat().st_size == size // 2
