"""A snapshot looked into as into a folder, and the beginning of a file in it."""

import sys
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, UsageError
from holdfast.vault import Vault
from tests.vault.access import create
from tests.vault.trees import write

pytestmark = pytest.mark.usefixtures("each_kind")


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    root = tmp_path / "home" / "work"
    (root / "a" / "b").mkdir(parents=True)
    (root / "~").mkdir()
    (root / "empty").mkdir()
    (root / "node_modules").mkdir()
    write(root / "node_modules" / "left.js", b"out")
    write(root / "a" / "one", b"1")
    write(root / "a" / "b" / "two", b"22")
    write(root / "a.txt", b"beside the folder")
    write(root / "~" / "odd", b"of the workspace")
    write(root.parent / ".bashrc", b"of the home")
    made = create(tmp_path / "vault")
    made.snapshot(root, home=root.parent)
    return made


def test_a_folder_tells_what_is_in_it_and_below(vault: Vault) -> None:
    header, found = vault.folder("latest")
    assert header.roots[0].name == "workspace"
    rows = [(held.name, held.path, held.kind, held.size, held.files) for held in found]
    assert rows == [
        ("a", "a", "folder", 3, 2),
        ("empty", "empty", "folder", 0, 0),
        ("~", "./~", "folder", 16, 1),
        ("a.txt", "a.txt", "file", 17, 1),
        ("node_modules", "node_modules", "excluded", 0, 0),
    ]
    assert [held.path for held in vault.folder("latest", "a")[1]] == ["a/b", "a/one"]
    assert vault.folder("latest", "empty")[1] == []
    assert all(held.modified_at for held in found if held.kind != "excluded")


def test_the_home_is_told_from_a_folder_called_so(vault: Vault) -> None:
    assert [held.path for held in vault.folder("latest", "~")[1]] == ["~/.bashrc"]
    assert [held.path for held in vault.folder("latest", "./~")[1]] == ["./~/odd"]
    assert vault.beginning("latest", "~/.bashrc", 99).beginning == b"of the home"
    assert vault.beginning("latest", "./~/odd", 99).beginning == b"of the workspace"


def test_what_is_named_for_a_restore_is_restored(vault: Vault, tmp_path: Path) -> None:
    vault.restore("latest", ["./~/odd", "~/.bashrc"], to=tmp_path / "x", home=tmp_path / "y")
    assert (tmp_path / "x" / "~" / "odd").read_bytes() == b"of the workspace"
    assert (tmp_path / "y" / ".bashrc").read_bytes() == b"of the home"


def test_a_file_is_no_folder_and_nothing_leads_out(vault: Vault) -> None:
    for path in ("a/one", "a.txt"):
        with pytest.raises(UsageError, match="no folder"):
            vault.folder("latest", path)
    with pytest.raises(UsageError, match="no file"):
        vault.beginning("latest", "a", 9)
    for path in ("nothing", "a/nothing", "..", "../home", "a/../a"):
        with pytest.raises(NotFoundError):
            vault.folder("latest", path)
        with pytest.raises(NotFoundError):
            vault.beginning("latest", path, 9)


def test_only_the_beginning_of_a_long_file_is_read(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    content = b"".join(b"%d\n" % number for number in range(1_500_000))
    write(root / "long", content)
    vault = create(tmp_path / "vault")
    vault.snapshot(root)
    read = vault.beginning("latest", "long", 1_000)
    assert not read.whole
    assert 1_000 <= len(read.beginning) < len(content)
    assert content.startswith(read.beginning)
    assert vault.beginning("latest", "long", len(content)).whole
    with pytest.raises(NotFoundError, match="home"):
        vault.folder("latest", "~")


@pytest.mark.skipif(sys.platform != "linux", reason="only here a name may be any bytes")
def test_a_name_that_is_no_text_is_found(tmp_path: Path) -> None:
    root = tmp_path / "work"
    root.mkdir()
    write(root / "odd-\udcff", b"odd")
    vault = create(tmp_path / "vault")
    vault.snapshot(root)
    [held] = vault.folder("latest")[1]
    assert vault.beginning("latest", held.path, 9).beginning == b"odd"
