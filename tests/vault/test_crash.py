"""Kill -9 at every fault point and at random instants: nothing taken before is lost."""

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from holdfast.durable.quarantine import Quarantine
from holdfast.vault import Vault
from tests.conftest import SOURCE
from tests.kills import RandomKills
from tests.vault.access import create
from tests.vault.trees import facts, make_tree

pytestmark = pytest.mark.usefixtures("each_kind")

SNAPSHOT = """
import sys
from pathlib import Path
import holdfast.vault.packs as packs
from tests.vault.access import create
packs.PACK_SIZE, packs.PACKS_PER_FRAGMENT = 1 << 20, 2   # so that small data takes every turn
report = create(Path(sys.argv[1])).snapshot(Path(sys.argv[2]))
assert report.healthy, report
"""
RESTORE = """
import sys
from pathlib import Path
from holdfast.durable.quarantine import Quarantine
from holdfast.vault import Vault
report = Vault.open(Path(sys.argv[1])).restore(
    "latest", to=Path(sys.argv[2]), quarantine=Quarantine(Path(sys.argv[3]))
)
assert report.healthy, report
"""


def child(script: str, *arguments: Path) -> list[str]:
    return [sys.executable, "-c", script, *map(str, arguments)]


def environment(faults: str = "", trace: Path | None = None) -> dict[str, str]:
    path = os.pathsep.join([str(SOURCE), str(SOURCE.parent)])
    extra = {"HOLDFAST_FAULTS": faults, "PYTHONPATH": path}
    if trace is not None:
        extra["HOLDFAST_FAULTS_TRACE"] = str(trace)
    return {**os.environ, **extra}


def visited(script: str, *arguments: Path, trace: Path) -> Counter[str]:
    """Which fault points a whole run passes, and how often."""
    subprocess.run(child(script, *arguments), env=environment(trace=trace), check=True)
    return Counter(trace.read_text().split())


def edit(tree: Path) -> None:
    (tree / "large.bin").write_bytes(os.urandom(9 << 20))
    (tree / "new").write_bytes(os.urandom(3 << 20))


def check(vault: Vault, tmp_path: Path, first: str, before: dict[str, object]) -> None:
    """The vault is whole, and the snapshot taken before the crash comes back byte for byte."""
    report = vault.verify(full=True)
    assert report.healthy, report.findings
    out = tmp_path / f"out-{time.monotonic_ns()}"
    assert vault.restore(first, to=out).healthy
    assert facts(out) == before


@pytest.mark.slow
def test_killed_at_every_fault_point_of_a_snapshot(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    before = facts(tree)
    points = visited(SNAPSHOT, tmp_path / "traced", tree, trace=tmp_path / "trace")
    assert {"vault.pack.written", "vault.index.written", "vault.snapshot.written"} <= set(points)
    vault = create(tmp_path / "vault")
    first = vault.snapshot(tree).snapshot.id
    edit(tree)
    for point, count in points.items():
        for visit in sorted({1, (count + 1) // 2, count}):
            faults = environment(f"{point}=crash@{visit}")
            ended = subprocess.run(
                child(SNAPSHOT, vault.path, tree), env=faults, check=False, capture_output=True
            )
            assert ended.returncode != 1, ended.stderr.decode()
            check(vault, tmp_path, first, before)
            edit(tree)
    subprocess.run(child(SNAPSHOT, vault.path, tree), env=environment(), check=True)
    check(vault, tmp_path, first, before)


def test_the_making_of_a_vault_killed_anywhere_is_completed_by_the_next(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "file").write_bytes(b"content")
    points = visited(SNAPSHOT, tmp_path / "traced", tree, trace=tmp_path / "trace")
    assert "vault.begun" in points
    for number, point in enumerate(points):
        place = tmp_path / f"vault-{number}"
        faults = environment(f"{point}=crash@1")
        ended = subprocess.run(child(SNAPSHOT, place, tree), env=faults, check=False)
        assert ended.returncode != 0, point
        subprocess.run(child(SNAPSHOT, place, tree), env=environment(), check=True)
        assert Vault.open(place).verify(full=True).healthy


@pytest.mark.slow
def test_killed_at_random_during_a_snapshot(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    before = facts(tree)
    vault = create(tmp_path / "vault")
    first = vault.snapshot(tree).snapshot.id
    edit(tree)
    began = time.monotonic()
    subprocess.run(child(SNAPSHOT, vault.path, tree), env=environment(), check=True)
    kills = RandomKills(environment(), time.monotonic() - began)
    for _ in kills.rounds(10):
        edit(tree)
        kills.run(child(SNAPSHOT, vault.path, tree))
        check(vault, tmp_path, first, before)


@pytest.mark.slow
def test_a_restore_killed_anywhere_is_completed_by_the_next(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    vault = create(tmp_path / "vault")
    vault.snapshot(tree)
    wanted = facts(tree)
    store = tmp_path / "quarantine"
    out = tmp_path / "out"
    points = visited(RESTORE, vault.path, out, store, trace=tmp_path / "trace")
    assert points["vault.restore.file"] > 5
    for visit in (1, 4, points["vault.restore.file"]):
        out = tmp_path / f"out-{visit}"
        out.mkdir()
        (out / "large.bin").write_bytes(b"mine")
        kept = len(Quarantine(store).list_entries())
        faults = environment(f"vault.restore.file=crash@{visit}")
        ended = subprocess.run(child(RESTORE, vault.path, out, store), env=faults, check=False)
        assert ended.returncode != 0
        subprocess.run(child(RESTORE, vault.path, out, store), env=environment(), check=True)
        assert {k: v for k, v in facts(out).items() if not k.endswith("holdfast-tmp")} == wanted
        assert len(Quarantine(store).list_entries()) == kept + 1


def test_a_restore_killed_while_it_sets_many_files_aside(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(20):
        (tree / f"{number}").write_bytes(b"%d" % number)
    vault = create(tmp_path / "vault")
    vault.snapshot(tree)
    wanted = facts(tree)
    edited = {b"edited %d" % number for number in range(20)}
    for number in range(20):
        (tree / f"{number}").write_bytes(b"edited %d" % number)
    store = tmp_path / "quarantine"
    faults = environment("quarantine.collected=crash@7")
    ended = subprocess.run(child(RESTORE, vault.path, tree, store), env=faults, check=False)
    assert ended.returncode != 0
    held = {path.read_bytes() for path in [*store.rglob("item/*"), *tree.iterdir()]}
    assert edited <= held
    subprocess.run(child(RESTORE, vault.path, tree, store), env=environment(), check=True)
    assert {k: v for k, v in facts(tree).items() if not k.endswith("holdfast-tmp")} == wanted
    assert {path.read_bytes() for path in store.rglob("item*/*")} | {
        path.read_bytes() for path in store.glob("*/item") if path.is_file()
    } >= edited


def test_a_full_disk_says_so_and_harms_nothing(tmp_path: Path) -> None:
    from holdfast.durable.faults import armed
    from holdfast.errors import StorageError

    tree = make_tree(tmp_path / "tree")
    before = facts(tree)
    vault = create(tmp_path / "vault")
    first = vault.snapshot(tree).snapshot.id
    for point in ("vault.pack.written", "vault.index.written", "files.temporary.written"):
        edit(tree)
        with armed(f"{point}=error:ENOSPC"), pytest.raises(StorageError, match="No space"):
            vault.snapshot(tree)
        check(vault, tmp_path, first, before)


def test_two_snapshots_at_once(tmp_path: Path) -> None:
    trees = [make_tree(tmp_path / f"tree-{number}") for number in range(3)]
    vault = create(tmp_path / "vault")
    running = [
        subprocess.Popen(child(SNAPSHOT, vault.path, tree), env=environment()) for tree in trees
    ]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert vault.verify(full=True).healthy
    for info in vault.snapshots():
        out = tmp_path / info.id[:8]
        assert vault.restore(info.id, to=out).healthy
        assert facts(out) == facts(Path(info.root))


PRUNE = """
import sys
from pathlib import Path
import holdfast.vault.packs as packs
from holdfast.vault import Retention, Vault
packs.PACK_SIZE, packs.PACKS_PER_FRAGMENT = 1 << 20, 2
vault = Vault.open(Path(sys.argv[1]))
vault.forget(retention=Retention(last=1))
vault.prune(grace=float(sys.argv[2]) if len(sys.argv) > 2 else 0)
vault.prune(grace=0 if len(sys.argv) == 2 else 3600)
"""
REPAIR = """
import sys
from pathlib import Path
import holdfast.vault.packs as packs
from holdfast.vault import Vault
packs.PACK_SIZE, packs.PACKS_PER_FRAGMENT = 1 << 20, 2
assert Vault.open(Path(sys.argv[1])).repair().healthy
"""


def three_snapshots(vault: Path, tree: Path) -> None:
    for number in range(3):
        for part in range(4):
            (tree / f"part-{part}").write_bytes(os.urandom(200_000 if part > number else 7))
        edit(tree)
        subprocess.run(child(SNAPSHOT, vault, tree), env=environment(), check=True)


@pytest.mark.slow
@pytest.mark.parametrize("work", ["prune", "repair"])
def test_killed_at_every_fault_point_of_the_upkeep(tmp_path: Path, work: str) -> None:
    script = PRUNE if work == "prune" else REPAIR
    tree = make_tree(tmp_path / "tree")
    original = tmp_path / "original"
    three_snapshots(original, tree)
    before = facts(tree)
    if work == "repair":
        damage(original)
    traced = tmp_path / "traced"
    shutil.copytree(original, traced)
    points = visited(script, traced, trace=tmp_path / "trace")
    expected = {
        "prune": {"vault.forget.moved", "vault.prune.condemned", "vault.prune.removed"},
        "repair": {"vault.repair.kept", "vault.pack.written"},
    }
    assert expected[work] <= set(points)
    for point, count in points.items():
        for visit in sorted({1, count}):
            place = tmp_path / f"{point}-{visit}"
            shutil.copytree(original, place)
            faults = environment(f"{point}=crash@{visit}")
            ended = subprocess.run(child(script, place), env=faults, check=False)
            assert ended.returncode != 0, point
            vault = Vault.open(place)
            if work == "prune":
                check(vault, tmp_path, vault.resolve("latest"), before)
            subprocess.run(child(script, place), env=environment(), check=True)
            check(vault, tmp_path, vault.resolve("latest"), before)
            shutil.rmtree(place)


DRILL = """
import sys
from pathlib import Path
from holdfast.vault import Vault
assert Vault.open(Path(sys.argv[1])).drill().healthy
"""


@pytest.mark.slow
@pytest.mark.parametrize("work", ["prune", "repair", "restore", "drill"])
def test_killed_at_random(tmp_path: Path, work: str) -> None:
    script = {"prune": PRUNE, "repair": REPAIR, "restore": RESTORE, "drill": DRILL}[work]
    tree = make_tree(tmp_path / "tree")
    original = tmp_path / "original"
    three_snapshots(original, tree)
    before = facts(tree)
    if work == "repair":
        damage(original)
    further = [tmp_path / "in place", tmp_path / "quarantine"] if work == "restore" else []
    rehearsal = tmp_path / "rehearsal"
    shutil.copytree(original, rehearsal)
    began = time.monotonic()
    subprocess.run(child(script, rehearsal, *further), env=environment(), check=True)
    kills = RandomKills(environment(), time.monotonic() - began)
    for folder in further:
        shutil.rmtree(folder, ignore_errors=True)
    for number in kills.rounds(3):
        place = tmp_path / f"vault-{number}"
        shutil.copytree(original, place)
        kills.run(child(script, place, *further))
        vault = Vault.open(place)
        if work != "repair":
            check(vault, tmp_path, vault.resolve("latest"), before)
        subprocess.run(child(script, place, *further), env=environment(), check=True)
        check(vault, tmp_path, vault.resolve("latest"), before)
        for folder in further:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(place)


def damage(vault: Path) -> None:
    """Flip a bit in the newest pack and in an index fragment, so that both are made again."""
    packs = sorted((vault / "packs").rglob("*.zst*"), key=lambda path: path.stat().st_mtime_ns)
    fragments = sorted((vault / "index").glob("*.zst*"))
    for path in (packs[-1], fragments[0]):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)


@pytest.mark.slow
def test_two_snapshots_and_prunes_at_once(tmp_path: Path) -> None:
    trees = [make_tree(tmp_path / f"tree-{number}") for number in range(2)]
    vault = create(tmp_path / "vault")
    for tree in trees:
        vault.snapshot(tree)
    for _ in range(3):
        for tree in trees:
            edit(tree)
        running = [
            subprocess.Popen(child(SNAPSHOT, vault.path, tree), env=environment()) for tree in trees
        ]
        running += [
            subprocess.Popen([*child(PRUNE, vault.path), "3600"], env=environment())
            for _ in range(2)
        ]
        assert [process.wait() for process in running] == [0, 0, 0, 0]
        assert vault.verify(full=True).healthy
    subprocess.run(child(PRUNE, vault.path), env=environment(), check=True)
    assert vault.verify(full=True).healthy
    roots = set()
    for info in vault.snapshots():
        out = tmp_path / info.id[:8]
        assert vault.restore(info.id, to=out).healthy
        assert facts(out) == facts(Path(info.root))
        roots.add(info.root)
    assert roots == {str(tree) for tree in trees}
