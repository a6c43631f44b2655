"""Archives: read by tar and age alone, proven, and harmless however hostile."""

import io
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
import zstandard

from holdfast.durable.faults import armed
from holdfast.durable.quarantine import Quarantine
from holdfast.errors import (
    CorruptError,
    HoldfastError,
    LockedError,
    RefusedError,
    StorageError,
    UsageError,
)
from holdfast.vault import Access, RestoreReport, Vault
from holdfast.vault.archives import tar
from holdfast.vault.archives.reading import import_archive
from holdfast.vault.archives.writing import create_archive
from holdfast.vault.create import Order
from holdfast.vault.entries import Problem
from holdfast.vault.identities import KeySource, generate_identity
from holdfast.vault.reports import ArchiveReport
from holdfast.vault.unpacked import unpacked
from tests.conftest import require_program
from tests.vault.trees import facts, make_tree, write


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "archives"
    folder.mkdir()
    return folder


def archive(
    tmp_path: Path, tree: Path, access: Access | None = None, home: Path | None = None
) -> ArchiveReport:
    order = Order(tree, home, everything=True, workspace_name="bees")
    return create_archive(tmp_path / "archives", order, access or Access(), tmp_path / "private")


def restore(
    tmp_path: Path, path: Path, to: Path, source: KeySource | None = None
) -> tuple[RestoreReport, list[Problem]]:
    with unpacked(path, source or KeySource(), tmp_path / "private") as (vault, identity, problems):
        report = Vault(vault).restore(
            identity, to=to, home=to, quarantine=Quarantine(tmp_path / "quarantine")
        )
    assert list((tmp_path / "private" / "scratch").iterdir()) == []
    return report, problems


def test_an_archive_comes_back_as_it_was(tmp_path: Path, tree: Path, folder: Path) -> None:
    report = archive(tmp_path, tree)
    assert report.healthy
    assert report.proof == "full"
    (path,) = folder.iterdir()
    assert path.name.startswith("bees-20")
    assert path.name.endswith(".tar.zst")
    restored, problems = restore(tmp_path, path, tmp_path / "out")
    assert restored.healthy
    assert problems == []
    assert facts(tmp_path / "out") == facts(tree)
    assert [path.name for path in (tmp_path / "private").iterdir()] == ["scratch"]


@pytest.mark.skipif(sys.platform == "win32", reason="GNU tar")
def test_tar_and_zstd_alone_unpack_it(tmp_path: Path, tree: Path, folder: Path) -> None:
    archive(tmp_path, tree)
    (path,) = folder.iterdir()
    require_program("zstd")
    (tmp_path / "out").mkdir()
    done = subprocess.run(
        [require_program("tar"), "-I", "zstd", "-xpf", path, "-C", tmp_path / "out"],
        check=True,
        capture_output=True,
    )
    assert done.stderr == b""
    assert facts(tmp_path / "out" / "workspace") == facts(tree)
    assert (tmp_path / "out" / "holdfast-manifest.jsonl").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_age_zstd_and_tar_alone_unpack_an_encrypted_one(
    tmp_path: Path, tree: Path, folder: Path
) -> None:
    key = tmp_path / "key"
    access = Access(recipients=[generate_identity(key)])
    report = archive(tmp_path, tree, access)
    assert report.healthy
    assert report.proof == "sealed"
    (path,) = folder.iterdir()
    assert path.name.endswith(".tar.zst.age")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for program in ("age", "zstd", "tar"):
        require_program(program)
    (tmp_path / "out").mkdir()
    script = 'age -d -i "$1" "$2" | zstd -dcq | tar -xpf - -C "$3"'
    arguments = ["sh", "-euc", script, "sh", str(key), str(path), str(tmp_path / "out")]
    subprocess.run(arguments, check=True)
    assert facts(tmp_path / "out" / "workspace") == facts(tree)
    restored, _ = restore(tmp_path, path, tmp_path / "other", KeySource(identity_files=[key]))
    assert restored.healthy
    assert facts(tmp_path / "other") == facts(tree)


def test_the_key_proves_an_encrypted_archive_whole(
    tmp_path: Path, tree: Path, folder: Path
) -> None:
    key = tmp_path / "key"
    recipient = generate_identity(key)
    access = Access(KeySource(identity_files=[key]), recipients=[recipient])
    assert archive(tmp_path, tree, access).proof == "full"


def test_a_wrong_key_and_no_key_say_so(tmp_path: Path, tree: Path, folder: Path) -> None:
    key, other = tmp_path / "key", tmp_path / "other"
    archive(tmp_path, tree, Access(recipients=[generate_identity(key)]))
    generate_identity(other)
    (path,) = folder.iterdir()
    with pytest.raises(LockedError, match="a key is needed"):
        restore(tmp_path, path, tmp_path / "out")
    with pytest.raises(LockedError, match="wrong key"):
        restore(tmp_path, path, tmp_path / "out", KeySource(identity_files=[other]))
    with pytest.raises(UsageError, match="recipients only"):
        archive(tmp_path, tree, Access(passphrase=True))


def test_a_database_in_use_is_captured_whole(tmp_path: Path, folder: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with closing(sqlite3.connect(tree / "state.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE t (x)")
        database.execute("INSERT INTO t VALUES (42)")
        database.commit()
        assert archive(tmp_path, tree).healthy
    (path,) = folder.iterdir()
    restore(tmp_path, path, tmp_path / "out")
    with closing(sqlite3.connect(tmp_path / "out" / "state.db")) as database:
        assert database.execute("SELECT x FROM t").fetchall() == [(42,)]


def test_the_home_goes_with_it_and_its_secrets_only_encrypted(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    (home / ".claude").mkdir(parents=True)
    write(home / ".claude.json", b"{}")
    write(home / "diary", b"private")
    write(home / ".claude" / ".credentials.json", b"secret")
    tree = home / "development"
    tree.mkdir()
    key = tmp_path / "key"
    archive(tmp_path, tree, home=home)
    archive(tmp_path, tree, Access(recipients=[generate_identity(key)]), home=home)
    clear, sealed = sorted(folder.iterdir(), key=lambda path: path.suffix, reverse=True)
    for path, there in ((clear, False), (sealed, True)):
        source = KeySource(identity_files=[key])
        with unpacked(path, source, tmp_path / "private") as (vault, identity, _):
            paths = {entry.path for entry in Vault(vault).read(identity)[1] if entry.root == 1}
        assert (".claude/.credentials.json" in paths) == there
        assert ".claude.json" in paths
        assert "diary" not in paths


@pytest.mark.parametrize("seed", range(4))
def test_a_flip_is_found_and_nothing_is_restored(
    tmp_path: Path, tree: Path, folder: Path, seed: int
) -> None:
    key = tmp_path / "key"
    archive(tmp_path, tree, Access(recipients=[generate_identity(key)]))
    archive(tmp_path, tree)
    for path in folder.iterdir():
        data = bytearray(path.read_bytes())
        data[(seed + 1) * len(data) // 5] ^= 0x20
        path.write_bytes(data)
        with pytest.raises(HoldfastError):
            restore(tmp_path, path, tmp_path / "out", KeySource(identity_files=[key]))
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(CorruptError):
            restore(tmp_path, path, tmp_path / "out", KeySource(identity_files=[key]))
    assert not (tmp_path / "out").exists()


def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, tree: Path, folder: Path) -> None:
    for point in ("vault.archive.member=error:ENOSPC@3",):
        with armed(point), pytest.raises(StorageError, match="space"):
            archive(tmp_path, tree)
    assert list(folder.iterdir()) == []
    assert archive(tmp_path, tree).healthy


# Hostile archives, made by Python's tarfile.


class Hostile:
    """An archive being made."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def file(self, name: str, data: bytes = b"evil", mode: int = 0o644) -> "Hostile":
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), mode
        self.tar.addfile(info, io.BytesIO(data))
        return self

    def other(self, name: str, kind: bytes, link: str = "") -> "Hostile":
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = kind, link, 0o755
        self.tar.addfile(info)
        return self

    def save(self, path: Path) -> Path:
        self.tar.close()
        path.write_bytes(zstandard.ZstdCompressor().compress(self.bytes.getvalue()))
        return path


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """What must not change."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("precious")
    return victim


def refused(tmp_path: Path, hostile: Hostile) -> dict[str, str]:
    path = hostile.file("workspace/good", b"good").save(tmp_path / "hostile.tar.zst")
    restored, problems = restore(tmp_path, path, tmp_path / "out")
    assert (tmp_path / "out" / "good").read_bytes() == b"good"
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("escaped")) == []
    found = {each.path: each.reason for each in [*problems, *restored.problems]}
    del found["holdfast-manifest.jsonl"]
    return found


@pytest.mark.parametrize(
    "name",
    [
        "/escaped",
        "../escaped",
        "workspace/../../escaped",
        "workspace/a/../../../escaped",
        "escaped",
        "workspace",
        "home/escaped",
        "home/../escaped",
        "workspace//escaped",
        "workspace/./escaped",
        "",
    ],
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    problems = refused(tmp_path, Hostile().file(name))
    assert next(iter(problems.values())).startswith("refused")
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {"good"}


def test_nothing_is_written_through_a_link(tmp_path: Path, victim: Path) -> None:
    hostile = Hostile().other("workspace/door", tarfile.SYMTYPE, str(victim))
    hostile.file("workspace/door/precious").file("workspace/door/escaped")
    problems = refused(tmp_path, hostile)
    if sys.platform == "win32":
        problems.pop("door", None)  # making a link needs a privilege there
    assert len(problems) == 2
    assert all("behind a link" in each for each in problems.values())
    assert [path.name for path in victim.iterdir()] == ["precious"]
    assert (victim / "precious").read_text() == "precious"


def test_a_link_cannot_take_the_place_of_a_folder_with_content(
    tmp_path: Path, victim: Path
) -> None:
    hostile = Hostile().file("workspace/door/precious")
    hostile.other("workspace/door", tarfile.SYMTYPE, str(victim)).file("workspace/door/more")
    problems = refused(tmp_path, hostile)
    assert "twice" in problems["workspace/door"]
    assert not (tmp_path / "out" / "door").is_symlink()
    assert (victim / "precious").read_text() == "precious"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_that_is_there_already_is_not_followed(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "door").symlink_to(victim)
    problems = refused(tmp_path, Hostile().file("workspace/door/precious"))
    assert "refused" in problems["door/precious"]
    assert (victim / "precious").read_text() == "precious"


def test_hard_links_lead_to_members_only(tmp_path: Path, victim: Path) -> None:
    hostile = Hostile().file("workspace/first", b"first")
    hostile.other("workspace/twin", tarfile.LNKTYPE, "workspace/first")
    hostile.other("workspace/bad", tarfile.LNKTYPE, str(victim / "precious"))
    hostile.other("workspace/worse", tarfile.LNKTYPE, "../victim/precious")
    hostile.other("workspace/later", tarfile.LNKTYPE, "workspace/good")
    problems = refused(tmp_path, hostile)
    assert set(problems) == {"workspace/bad", "workspace/worse", "workspace/later"}
    assert (tmp_path / "out" / "twin").read_bytes() == b"first"
    assert (victim / "precious").stat().st_nlink == 1


@pytest.mark.skipif(sys.platform == "win32", reason="modes and devices of POSIX")
def test_devices_are_not_made_and_special_rights_not_given(tmp_path: Path) -> None:
    hostile = Hostile().file("workspace/root-shell", mode=0o6755)
    hostile.other("workspace/disk", tarfile.BLKTYPE).other("workspace/null", tarfile.CHRTYPE)
    hostile.other("workspace/pipe", tarfile.FIFOTYPE)
    refused(tmp_path, hostile)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"good", "root-shell"}
    assert stat.S_IMODE((tmp_path / "out" / "root-shell").stat().st_mode) == 0o755


def test_of_a_name_that_is_twice_there_the_first_counts(tmp_path: Path) -> None:
    hostile = Hostile().file("workspace/one", b"first").file("workspace/one", b"second")
    hostile.other("workspace/folder", tarfile.DIRTYPE).other("workspace/folder", tarfile.DIRTYPE)
    hostile.file("workspace/one/below")
    problems = refused(tmp_path, hostile)
    assert set(problems) == {"workspace/one", "workspace/folder", "workspace/one/below"}
    assert (tmp_path / "out" / "one").read_bytes() == b"first"


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = Hostile().file("workspace/zeros", bytes(64 << 20)).save(tmp_path / "bomb.tar.zst")
    vault = Vault.create(tmp_path / "vault")
    with pytest.raises(RefusedError, match="free here"):
        import_archive(bomb, KeySource(), vault._repository, room=1 << 20)
    monkeypatch.setattr("holdfast.vault.archives.reading._SUSPICIOUS", 1 << 20)
    with pytest.raises(RefusedError, match="bombs"):
        restore(tmp_path, bomb, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_header_of_absurd_length_is_refused(tmp_path: Path) -> None:
    header = bytearray(tar.member(b"pax", b"x", mode=0o600, mtime_ns=0, size=1 << 32))
    path = tmp_path / "long.tar.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(bytes(header) + bytes(1 << 16)))
    with pytest.raises(CorruptError, match="header"):
        restore(tmp_path, path, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"no zstd", b"(\xb5/\xfd"])
def test_what_is_no_archive_says_so(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.tar.zst"
    path.write_bytes(content)
    with pytest.raises(CorruptError) as caught:
        restore(tmp_path, path, tmp_path / "out")
    assert caught.value.path == path


def test_what_differs_from_the_manifest_is_found(tmp_path: Path, folder: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    write(tree / "one", b"right")
    archive(tmp_path, tree)
    (path,) = folder.iterdir()
    data = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
    assert data.count(b"right") == 1
    path.write_bytes(zstandard.ZstdCompressor().compress(data.replace(b"right", b"wrong")))
    with pytest.raises(CorruptError, match="manifest"):
        restore(tmp_path, path, tmp_path / "out")


def test_what_is_replaced_goes_to_quarantine(tmp_path: Path, tree: Path, folder: Path) -> None:
    archive(tmp_path, tree)
    (path,) = folder.iterdir()
    shutil.copytree(tree, tmp_path / "out", symlinks=True)
    (tmp_path / "out" / "twin").write_bytes(b"newer")
    restored, _ = restore(tmp_path, path, tmp_path / "out")
    assert restored.replaced >= 1
    kept = [p.read_bytes() for p in (tmp_path / "quarantine").rglob("item") if p.is_file()]
    assert b"newer" in kept
    assert os.path.lexists(tmp_path / "out" / "broken link") or sys.platform == "win32"
