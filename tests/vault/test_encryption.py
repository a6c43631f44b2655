"""Encrypted vaults: who can read them, who can write to them, and what they tell to strangers."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from blake3 import blake3

from holdfast.errors import ConflictError, CorruptError, HoldfastError, LockedError, UsageError
from holdfast.vault import Access, Vault
from holdfast.vault.identities import KeySource, generate_identity
from tests.conftest import require_program
from tests.vault.test_damage import files, flip
from tests.vault.trees import facts, make_tree, write


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


@pytest.fixture(autouse=True)
def _young_files_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a test need not wait until what it wrote counts as settled."""
    monkeypatch.setattr("holdfast.vault.parent.SETTLED_NS", -3600 * 10**9)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "identity.txt"


@pytest.fixture
def person(key: Path) -> str:
    return generate_identity(key)


@pytest.fixture
def machine(tmp_path: Path, person: str) -> Access:
    """A machine that holds no private key."""
    return Access(private=tmp_path / "private", recipients=[person])


@pytest.fixture
def vault(tmp_path: Path, tree: Path, machine: Access) -> Vault:
    vault = Vault.create(tmp_path / "vault", machine)
    assert vault.snapshot(tree).healthy
    return vault


def with_key(*keys: Path) -> Access:
    return Access(KeySource(identity_files=keys))


def without(machine: Access, tmp_path: Path) -> Vault:
    """The vault as a new process of the machine sees it."""
    return Vault.open(tmp_path / "vault", machine)


def test_a_machine_without_the_key_backs_up_and_stores_nothing_twice(
    tmp_path: Path, tree: Path, vault: Vault, machine: Access, key: Path
) -> None:
    write(tree / "new", b"new")
    (tree / "agents" / "deep" / "er" / "data.bin").rename(tree / "moved")
    report = without(machine, tmp_path).snapshot(tree)
    assert report.healthy
    assert report.notes == []
    assert report.snapshot.totals.unchanged > 3
    assert report.snapshot.totals.stored < 2000
    assert report.proof is not None
    assert report.proof.how == "sealed"
    assert without(machine, tmp_path).last_proof(report.snapshot.id) is None
    opened = Vault.open(vault.path, with_key(key))
    assert opened.verify(full=True).healthy
    assert opened.last_proof() is not None
    assert opened.restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)


def test_what_can_be_seen_and_done_without_the_key(
    tmp_path: Path, vault: Vault, machine: Access
) -> None:
    keyless = without(machine, tmp_path)
    (info,) = keyless.snapshots()
    assert not info.damage
    assert keyless.read("latest")[1]
    assert keyless.diff("latest") == []
    assert keyless.find("large.bin").versions
    for work in (keyless.repair, keyless.prune, lambda: keyless.verify(full=True)):
        with pytest.raises(LockedError, match=r"a key is needed.*age1"):
            work()
    with pytest.raises(LockedError, match="HOLDFAST_IDENTITY"):
        keyless.restore("latest", to=tmp_path / "out")
    assert not (tmp_path / "out" / "large.bin").exists()


def test_without_what_the_machine_remembered_all_is_stored_anew_and_it_says_so(
    tmp_path: Path, tree: Path, vault: Vault, machine: Access, key: Path
) -> None:
    shutil.rmtree(tmp_path / "private")
    (info,) = without(machine, tmp_path).snapshots()
    assert info.locked
    report = without(machine, tmp_path).snapshot(tree)
    assert report.healthy
    assert "anew" in report.notes[0]
    assert report.snapshot.totals.unchanged == 0
    again = without(machine, tmp_path).snapshot(tree)
    assert again.notes[:1] == report.notes[:1] or not again.notes
    assert again.snapshot.totals.stored == 0
    opened = Vault.open(vault.path, with_key(key))
    assert len(opened.snapshots()) == 3
    assert opened.verify(full=True).healthy
    for number, one in enumerate(opened.snapshots()):
        assert opened.restore(one.id, to=tmp_path / f"out-{number}").healthy
        assert facts(tmp_path / f"out-{number}") == facts(tree)


def test_with_the_key_nothing_is_stored_anew(tmp_path: Path, tree: Path, vault: Vault) -> None:
    shutil.rmtree(tmp_path / "private")
    report = Vault.open(vault.path, with_key(tmp_path / "keys" / "identity.txt")).snapshot(tree)
    assert report.notes == []
    assert report.snapshot.totals.stored == 0
    assert report.proof is not None
    assert report.proof.how == "sample"


def test_a_wrong_key_says_so_and_no_secret_is_shown(tmp_path: Path, vault: Vault) -> None:
    other = tmp_path / "other.txt"
    generate_identity(other)
    with pytest.raises(LockedError, match="wrong key") as caught:
        Vault.open(vault.path, with_key(other)).resolve("latest")
    secret = other.read_text().splitlines()[-1]
    assert secret not in str(caught.value)
    assert caught.value.exit_status == 3


def test_a_passphrase_opens_a_vault_and_a_wrong_one_says_so(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_PASSPHRASE", "correct horse")
    vault = Vault.create(tmp_path / "vault", Access(passphrase=True))
    assert vault.snapshot(tree).healthy
    assert Vault.open(vault.path).restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)
    monkeypatch.setenv("HOLDFAST_PASSPHRASE", "wrong horse")
    with pytest.raises(LockedError, match="wrong key or passphrase") as caught:
        Vault.open(vault.path).resolve("latest")
    assert "horse" not in str(caught.value)
    monkeypatch.delenv("HOLDFAST_PASSPHRASE")
    with pytest.raises(LockedError, match=r"a key is needed.*passphrase"):
        Vault.open(vault.path).resolve("latest")
    file = tmp_path / "passphrase"
    file.write_text("correct horse\n")
    assert Vault.open(vault.path, Access(KeySource(passphrase_file=file))).resolve("latest")


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_age_alone_opens_the_key_by_its_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        return
    import pty

    monkeypatch.setenv("HOLDFAST_PASSPHRASE", "correct horse")
    vault = Vault.create(tmp_path / "vault", Access(passphrase=True))
    (wrapped,) = (vault.path / "keys").glob("*.passphrase.age")
    out = tmp_path / "vault-key"
    program = require_program("age")
    child, terminal = pty.fork()
    if child == 0:
        os.execv(program, ["age", "-d", "-o", str(out), str(wrapped)])
    os.read(terminal, 100)
    os.write(terminal, b"correct horse\n")
    while True:
        try:
            if not os.read(terminal, 100):
                break
        except OSError:
            break
    os.close(terminal)
    os.waitpid(child, 0)
    assert out.read_text().splitlines()[-1].startswith("AGE-SECRET-KEY-1")


def test_other_recipients_read_what_is_new_and_only_that(
    tmp_path: Path, tree: Path, vault: Vault, machine: Access, key: Path
) -> None:
    second = tmp_path / "second.txt"
    colleague = generate_identity(second)
    assert vault.keys is not None
    vault.keys.make([colleague], None)
    write(tree / "new", b"for the colleague")
    after = without(Access(private=machine.private), tmp_path).snapshot(tree)
    assert after.healthy
    assert after.snapshot.totals.unchanged > 3  # old chunks are still relied on
    colleagues = Vault.open(vault.path, with_key(second))
    partly = colleagues.restore(after.snapshot.id, to=tmp_path / "partly")
    assert "encrypted for another key" in partly.problems[0].reason
    with pytest.raises(LockedError, match="this is encrypted for age1"):
        colleagues.resolve("latest")
    assert {each.path for each in partly.problems} >= {"large.bin", "twin"}
    assert (tmp_path / "partly" / "new").read_bytes() == b"for the colleague"
    with pytest.raises(LockedError):
        Vault.open(vault.path, with_key(key)).read(after.snapshot.id)
    both = Vault.open(vault.path, with_key(key, second))
    assert both.verify(full=True).healthy
    assert both.restore("latest", to=tmp_path / "out").healthy
    assert facts(tmp_path / "out") == facts(tree)


def test_ids_are_no_plain_hashes_and_names_are_nowhere_in_clear(vault: Vault, tree: Path) -> None:
    _, entries = vault.read("latest")
    (entry,) = [entry for entry in entries if entry.path == "twin"]
    assert entry.chunks != (blake3((tree / "twin").read_bytes()).hexdigest(),)
    content = b"".join(path.read_bytes() for path in vault.path.rglob("*") if path.is_file())
    for known in (b"director-agent", b"hello", entry.chunks[0].encode(), b"(\xb5/\xfd"):
        assert known not in content


@pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")
def test_only_the_owner_may_look(tmp_path: Path, vault: Vault) -> None:
    places = [vault.path, *vault.path.rglob("*"), *(tmp_path / "private").rglob("*")]
    places += [tmp_path / "keys", tmp_path / "keys" / "identity.txt"]
    for path in places:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("suffix", [".age", ".json"])
def test_a_flip_in_a_key_is_found(tmp_path: Path, vault: Vault, key: Path, suffix: str) -> None:
    (path,) = (vault.path / "keys").glob(f"*{suffix}")
    flip(path, path.stat().st_size // 2)
    with pytest.raises(HoldfastError) as caught:
        Vault.open(vault.path, with_key(key)).verify(full=True)
    assert caught.value.exit_status == 3


def test_a_key_that_somebody_replaced_is_refused(
    tmp_path: Path, tree: Path, vault: Vault, machine: Access
) -> None:
    other = tmp_path / "other.txt"
    stranger = generate_identity(other)
    (path,) = (vault.path / "keys").glob("*.json")
    assert vault.keys is not None
    (known,) = vault.keys.keys()
    path.write_text(path.read_text().replace(known.public_key, stranger))
    with pytest.raises(CorruptError, match="replaced"):
        without(machine, tmp_path).snapshot(tree)


def test_a_key_that_somebody_put_there_is_not_followed(
    tmp_path: Path, tree: Path, vault: Vault, key: Path
) -> None:
    stranger = generate_identity(tmp_path / "stranger.txt")
    other = Vault.create(tmp_path / "other", Access(recipients=[stranger]))
    for path in (other.path / "keys").iterdir():
        shutil.copy(path, vault.path / "keys")
    write(tree / "new", b"only for the owner")
    report = Vault.open(vault.path, Access(private=tmp_path / "private")).snapshot(tree)
    assert report.healthy
    assert report.notes == []
    opened = Vault.open(vault.path, with_key(key))
    assert opened.restore(report.snapshot.id, ["new"], to=tmp_path / "out").healthy


def test_a_vault_that_says_it_is_in_clear_now_is_refused(
    tmp_path: Path, vault: Vault, machine: Access
) -> None:
    marker = vault.path / "vault.json"
    marker.write_text(marker.read_text().replace('"encryption": "age"', '"x": 1'))
    with pytest.raises(CorruptError, match="was encrypted"):
        without(machine, tmp_path)
    with pytest.raises(ConflictError, match="not encrypted"):
        Vault.create(vault.path, Access(recipients=machine.recipients))


def test_damaged_memory_is_no_damage_of_the_vault(
    tmp_path: Path, tree: Path, vault: Vault, key: Path
) -> None:
    for path in (tmp_path / "private").rglob("*.known"):
        flip(path, path.stat().st_size // 2)
    opened = Vault.open(
        vault.path, Access(KeySource(identity_files=[key]), private=tmp_path / "private")
    )
    assert opened.verify(full=True).healthy
    assert opened.snapshot(tree).snapshot.totals.stored == 0


@pytest.mark.parametrize("text", ["age1nonsense", "", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1X"])
def test_what_is_no_recipient_is_refused_before_anything_is_made(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Vault.create(tmp_path / "vault", Access(recipients=[text]))
    assert "AGE-SECRET" not in str(caught.value)
    assert not (tmp_path / "vault" / "vault.json").exists()


def test_identity_files_that_cannot_serve_say_why(tmp_path: Path, vault: Vault, key: Path) -> None:
    public, sealed, away = tmp_path / "public", tmp_path / "sealed", tmp_path / "away"
    public.write_text("age1abc\n")
    sealed.write_bytes(b"age-encryption.org/v1\n")
    for path in (public, sealed):
        path.chmod(0o600)
    for path, why in ((public, "public key"), (sealed, "itself encrypted"), (away, "not here")):
        with pytest.raises(HoldfastError, match=why):
            Vault.open(vault.path, with_key(path)).verify()
    if sys.platform != "win32":
        key.chmod(0o644)
        with pytest.raises(HoldfastError, match="others may read"):
            Vault.open(vault.path, with_key(key)).verify()
    with pytest.raises(ConflictError, match="exists"):
        generate_identity(key)


@pytest.mark.parametrize("seed", range(3))
def test_a_flip_in_any_encrypted_file_is_named(vault: Vault, key: Path, seed: int) -> None:
    for folder in ("packs", "index", "snapshots"):
        place = files(vault, folder)[0]
        before = place.read_bytes()
        flip(place, (seed * 977) % len(before))
        found = Vault.open(vault.path, with_key(key)).verify(full=True).findings
        assert place.relative_to(vault.path).as_posix() in {each.where for each in found}
        place.write_bytes(before)


def test_each_frame_is_an_age_file(tmp_path: Path, vault: Vault, key: Path) -> None:
    age = require_program("age")
    (wrapped,) = (vault.path / "keys").glob("*.age")
    opened = tmp_path / "vault-key"
    done = subprocess.run([age, "-d", "-i", key, wrapped], check=True, capture_output=True)
    opened.write_bytes(done.stdout)
    for path in [*files(vault, "index"), *files(vault, "snapshots")]:
        done = subprocess.run([age, "-d", "-i", opened, path], check=True, capture_output=True)
        assert done.stdout.startswith(b"(\xb5/\xfd")
