"""Agents that are gone since a snapshot are named, and nothing else is."""

import shutil

from holdfast.recovery.lost import LostAgent, lost_agents
from tests.recovery.conftest import Saved


def _lost(saved: Saved) -> list[LostAgent]:
    with saved.opened() as workspace:
        return lost_agents(workspace, saved.vault).agents


def test_nothing_is_gone_at_first(saved: Saved) -> None:
    assert _lost(saved) == []
    (saved.root / "agents/new.py").write_text("new", encoding="utf-8")
    (saved.root / "agents/bee.py").write_text("changed", encoding="utf-8")
    assert _lost(saved) == []


def test_files_and_entries_that_are_gone_are_told(saved: Saved) -> None:
    shutil.rmtree(saved.root / "agents/hive")
    (saved.root / "agents/bee.py").unlink()
    with saved.opened() as workspace:
        workspace.registry.remove("wasp")
        workspace.registry.remove("hive")
    rows = [(each.name, each.path, each.files_gone, each.entry_gone) for each in _lost(saved)]
    assert rows == [
        ("bee", "agents/bee.py", True, False),
        ("hive", "agents/hive", True, True),
        ("wasp", "agents/wasp.py", False, True),
    ]
    assert all(each.registered for each in _lost(saved))


def test_what_was_never_registered_is_told_by_its_path(saved: Saved) -> None:
    (saved.root / "agents/staging").mkdir()
    (saved.root / "agents/staging/scout.py").write_text("scout", encoding="utf-8")
    with saved.opened() as workspace:
        workspace.snapshot()
    (saved.root / "agents/staging/scout.py").unlink()
    [lost] = _lost(saved)
    assert (lost.name, lost.path, lost.registered) == ("scout", "agents/staging/scout.py", False)


def test_a_torn_registry_hides_no_lost_files(saved: Saved) -> None:
    (saved.root / "configs/agents/agent-registry.json").write_bytes(b"{")
    (saved.root / "agents/bee.py").unlink()
    assert [each.name for each in _lost(saved)] == ["bee"]
