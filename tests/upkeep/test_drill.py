"""A drill recovers everything, opens every store, and says so in the status."""

from pathlib import Path

import pytest

from holdfast.durable.faults import armed
from holdfast.errors import StorageError
from holdfast.facade import Workspace, open_workspace
from holdfast.upkeep.drill import drill
from holdfast.upkeep.status import StoreStatus, workspace_status
from holdfast.workspace.creation import create


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = open_workspace(create(tmp_path / "development", home=tmp_path).layout.root)
    workspace.registry.add("scout", path=workspace.layout.root)
    workspace.queue("jobs").put_many([1, 2, 3])
    workspace.events.append("stream", "happened", {"n": 1})
    workspace.logger("scout").info("Hello")
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'\n")
    return workspace


def stores(workspace: Workspace) -> dict[str, StoreStatus]:
    return {store.name: store for store in workspace_status(workspace).stores}


def test_everything_comes_back_and_every_store_opens(workspace: Workspace, tmp_path: Path) -> None:
    with workspace:
        info = workspace.snapshot().snapshot
        told: list[tuple[int, int, int]] = []
        report = drill(workspace, progress=lambda *done: told.append(done))
        assert report.healthy, report.findings
        assert report.files == info.totals.files
        assert report.size == info.totals.size
        assert report.databases == 1
        holds = {store.name: store.holds for store in report.stores}
        assert holds["agents"] == "1 agent"
        assert holds["queues"] == "1 queue (3 waiting)"
        assert holds["events"] == "1 event"
        assert not list((workspace.vault.path / "tmp").glob(".drill-*"))
        found = stores(workspace)
        assert {found[name].proven_by for name in holds} == {"drill"}
        # What was proven stays known when the snapshot is gone, until something newer is.
        workspace.vault.forget([info.id])
        workspace.vault.prune(grace=0)
        assert stores(workspace)["queues"].proven_by == "drill"
        workspace.snapshot()
        assert stores(workspace)["queues"].proven_by == "sample"
        assert told == sorted(told)


def test_each_store_is_proven_by_a_file_of_its_own(workspace: Workspace) -> None:
    with workspace:
        workspace.snapshot()
        found = stores(workspace)
        for name in ("agents", "servers", "queues", "events", "logs"):
            assert found[name].proven_by == "sample", name
        assert workspace.vault.last_proof() is not None


def test_what_does_not_come_back_is_named_and_nothing_is_recorded(workspace: Workspace) -> None:
    with workspace:
        workspace.snapshot()
        for pack in (workspace.vault.path / "packs").rglob("*.zst"):
            data = bytearray(pack.read_bytes())
            data[len(data) // 2] ^= 1
            pack.write_bytes(data)
        report = drill(workspace)
        assert not report.healthy
        assert any("damaged pack" in finding.problem for finding in report.findings)
        assert all(proof.how == "sample" for proof in workspace.vault.proofs())


def test_a_drill_that_fails_leaves_nothing_behind(workspace: Workspace) -> None:
    with workspace:
        workspace.snapshot()
        with armed("vault.restore.file=error:ENOSPC@3"), pytest.raises(StorageError):
            drill(workspace)
        assert not list((workspace.vault.path / "tmp").glob(".drill-*"))
        assert drill(workspace).healthy


def test_a_check_proves_the_stores_anew(workspace: Workspace) -> None:
    with workspace:
        workspace.snapshot()
        before = stores(workspace)
        assert workspace.vault.verify().healthy
        after = stores(workspace)
        for name in ("agents", "servers", "queues", "events", "logs"):
            earlier, now = before[name].proven, after[name].proven
            assert earlier is not None
            assert now is not None
            assert now > earlier, name
