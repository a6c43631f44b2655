"""Where secrets are kept: in the keyring, in files without one; and programs that get them."""

import json
import sys
from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from holdfast.errors import MissingError, UsageError
from holdfast.facade import Workspace
from tests.conftest import Runner
from tests.guard.secrets.test_scan import GITHUB


class Ring(KeyringBackend):
    """A keyring as a plug-in of the library ``keyring``, in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("locked")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked("locked")
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.held.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    monkeypatch.delenv("HOLDFAST_KEYRING")
    before, made = keyring.get_keyring(), Ring()
    keyring.set_keyring(made)
    yield made
    keyring.set_keyring(before)


def test_the_keyring_is_used_where_there_is_one(
    workspace: Workspace, ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = workspace.secrets
    assert store.put("GH", GITHUB) == "keyring"
    assert list(ring.held.values()) == [GITHUB]
    assert [path.read_bytes() for path in workspace.layout.secrets.iterdir()] == [b""]
    assert not store.identity.exists()
    monkeypatch.setenv("HOLDFAST_KEYRING", "file")
    assert store.get("GH") == GITHUB, "where it was put, it is found"
    assert store.put("GH", "another value") == "file"
    assert store.get("GH") == "another value"
    store.remove("GH")
    assert store.list() == []
    monkeypatch.delenv("HOLDFAST_KEYRING")
    store.put("GH", GITHUB)
    ring.locked = True
    with pytest.raises(MissingError):
        store.get("GH")
    ring.locked = False
    ring.held.clear()
    with pytest.raises(MissingError):
        store.get("GH")
    store.remove("GH")


@pytest.mark.parametrize("name", ["", "lower", "9A", "A-B", "A/../B", "A" * 101])
def test_a_bad_name_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(UsageError):
        workspace.secrets.put(name, GITHUB)
    with pytest.raises(UsageError):
        workspace.secrets.get(name)


def test_a_program_gets_the_secrets_and_its_status_is_returned(
    workspace: Workspace, holdfast: Runner
) -> None:
    root = workspace.layout.root
    assert holdfast("secrets", "set", "GH", cwd=root, stdin=f"{GITHUB}\n").returncode == 0
    assert holdfast("secrets", "set", "OTHER", cwd=root, stdin="other value\n").returncode == 0
    program = "import os, sys; print(len(os.environ['GH']), os.environ.get('OTHER'), "
    program += "os.environ['HOLDFAST_SECRETS']); sys.exit(7)"
    line = ["secrets", "run", "--only", "GH", "--", sys.executable, "-c", program]
    done = holdfast(*line, cwd=root)
    assert (done.returncode, done.stdout.split()) == (7, [str(len(GITHUB)), "None", "GH"])
    assert holdfast("secrets", "run", "--", "no-such-program", cwd=root).returncode == 5
    environment = json.loads(workspace.layout.environment.read_bytes())
    assert environment["GH"] == "${secret:GH}"


def test_a_reference_to_a_secret_that_is_not_here_is_told(
    workspace: Workspace, holdfast: Runner
) -> None:
    path = workspace.layout.environment
    path.write_text('{"X": "${secret:GONE}"}', encoding="utf-8")
    done = holdfast("secrets", "list", "--json", cwd=workspace.layout.root)
    assert done.returncode == 1
    [found] = json.loads(done.stdout)
    assert (found["name"], found["usedIn"]) == ("GONE", ["configs/environment.json"])
