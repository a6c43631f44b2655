"""Files and names that are hard to keep: each comes back as it was, or is reported."""

import os
import sys
from pathlib import Path

import pytest

from holdfast.vault import Vault
from holdfast.vault.capture import Capture
from holdfast.vault.entries import Entry
from holdfast.vault.plan import Planner
from tests.vault.trees import LONG_AGO, facts, write

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return tmp_path / "tree"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.create(tmp_path / "vault")


def comes_back(vault: Vault, tree: Path, out: Path) -> None:
    report = vault.snapshot(tree, everything=True)
    assert report.healthy, report
    assert vault.restore("latest", to=out).healthy
    assert facts(out) == facts(tree)
    assert vault.drill().healthy


@posix
def test_links_in_circles_are_links(tree: Path, vault: Vault, tmp_path: Path) -> None:
    (tree / "a").mkdir()
    (tree / "a" / "up").symlink_to("..")
    (tree / "self").symlink_to("self")
    (tree / "one").symlink_to("two")
    (tree / "two").symlink_to("one")
    comes_back(vault, tree, tmp_path / "out")


@posix
def test_hard_links_across_folders(tree: Path, vault: Vault, tmp_path: Path) -> None:
    (tree / "a").mkdir()
    (tree / "logs").mkdir()
    write(tree / "a" / "first", b"one file, three names")
    os.link(tree / "a" / "first", tree / "second")
    os.link(tree / "a" / "first", tree / "logs" / "third")
    comes_back(vault, tree, tmp_path / "out")


def test_sparse_files(tree: Path, vault: Vault, tmp_path: Path) -> None:
    with (tree / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(40 << 20)
        file.write(b"middle")
        file.truncate(64 << 20)
    os.utime(tree / "sparse", ns=(LONG_AGO, LONG_AGO))
    comes_back(vault, tree, tmp_path / "out")
    assert vault.snapshots()[-1].totals.stored < 1 << 20  # what is empty is stored once


def test_paths_of_472_characters(tree: Path, vault: Vault, tmp_path: Path) -> None:
    from holdfast.durable.names import long_path

    folder = tree
    while len(str(folder.relative_to(tree))) < 400:
        folder /= "a-folder-of-an-agent-with-a-long-name"
    name = "n" * (472 - len(str(folder.relative_to(tree))) - 1)
    long_path(folder).mkdir(parents=True)
    path = folder / name
    assert len(str(path.relative_to(tree))) == 472
    long_path(path).write_bytes(b"deep")
    assert vault.snapshot(tree).healthy
    assert vault.restore("latest", to=tmp_path / "out").healthy
    restored = tmp_path / "out" / path.relative_to(tree)
    assert long_path(restored).read_bytes() == b"deep"
    assert vault.drill().healthy


@posix
def test_twins_that_differ_in_case(tree: Path, vault: Vault, tmp_path: Path) -> None:
    write(tree / "Readme", b"large")
    write(tree / "readme", b"small")
    if len(os.listdir(tree)) == 1:  # noqa: PTH208
        pytest.skip("NOT TESTED: this file system does not tell cases apart")
    comes_back(vault, tree, tmp_path / "out")


@posix
def test_names_that_windows_reserves(
    tree: Path, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("aux", "con.txt", "trailing dot.", "what?", "a:b"):
        write(tree / name, name.encode())
    comes_back(vault, tree, tmp_path / "out")
    # There they are refused one by one and named, and the rest comes back.
    from holdfast.vault.index import Index

    monkeypatch.setattr(sys, "platform", "win32")
    planner = Planner(tmp_path / "there", Index(), 0, lambda *_: True)
    refused = {name: planner.plan(Entry(name, "file")).refusal for name in ("aux", "a:b", "fine")}
    assert refused["aux"]
    assert "Windows" in refused["aux"]
    assert refused["a:b"]
    assert refused["fine"] is None


@posix
def test_names_that_are_no_utf8_are_found_again_one_by_one(
    tree: Path, vault: Vault, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"odd-\xff\xfe\\")
    (tree / odd).mkdir()
    write(tree / odd / "inside", b"x")
    write(tree / "other", b"y")
    vault.snapshot(tree)
    vault.restore("latest", [f"{odd}/inside"], to=tmp_path / "out")
    assert (tmp_path / "out" / odd / "inside").read_bytes() == b"x"
    assert not (tmp_path / "out" / "other").exists()


@pytest.mark.parametrize("how", ["vanish", "forbid", "shrink", "replace", "become a folder"])
def test_what_changes_while_it_is_read_is_reported_or_stored_as_it_was(
    tree: Path, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    before, after = os.urandom(3 << 20), os.urandom(2 << 20)
    (tree / "busy").write_bytes(before)
    (tree / "calm").write_bytes(b"calm")
    read = Capture.read

    def change(capture: Capture, place: str, status: os.stat_result) -> object:
        if place.endswith("busy"):
            target = Path(place)
            if how == "vanish":
                target.unlink()
            elif how == "forbid":
                raise PermissionError(13, "Permission denied")
            elif how == "shrink":
                target.write_bytes(before[: 1 << 20])
            elif how == "replace":
                target.unlink()
                target.write_bytes(after)
            else:
                target.unlink()
                target.mkdir()
        return read(capture, place, status)

    monkeypatch.setattr(Capture, "read", change)
    report = vault.snapshot(tree)
    monkeypatch.undo()
    vault.restore("latest", to=tmp_path / "out")
    assert (tmp_path / "out" / "calm").read_bytes() == b"calm"
    restored = tmp_path / "out" / "busy"
    if how in ("shrink", "replace"):
        assert restored.read_bytes() == (tree / "busy").read_bytes()
    else:
        assert not restored.exists()
        assert [problem.path for problem in report.snapshot.problems] == ["busy"]
    assert vault.verify(full=True).healthy
