"""One agent, one server, one store, one path back, and nothing else."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, RefusedError, UsageError
from holdfast.facade import open_workspace
from holdfast.recovery.components import find_component, restore_component
from holdfast.recovery.source import Source
from holdfast.recovery.stores import restore_store
from holdfast.vault import Vault
from tests.conftest import Runner
from tests.recovery.conftest import (
    Saved,
    change,
    command,
    contents,
    doubled,
    environment,
    events_in,
    jobs_in,
    kept,
    runs_in,
    visited,
)

DATABASE = ".holdfast/state.db"


def source_of(saved: Saved) -> Source:
    return Source(saved.vault, "latest")


def test_an_agent_comes_back_exactly_as_it_was(saved: Saved, holdfast: Runner) -> None:
    registry = saved.root / "configs/agents/agent-registry.json"
    before = json.loads(registry.read_text(encoding="utf-8"))["agentRegistry"]
    (saved.root / "agents/bee.py").write_text("broken", encoding="utf-8")
    with saved.opened() as workspace:
        workspace.registry.update("bee", colour="black", tags=None, group="staging")
        workspace.registry.update("wasp", name="Newer")
    plan = holdfast("restore", "latest", "--agent", "bee", "--dry-run", cwd=saved.root)
    assert plan.returncode == 0, plan.stderr
    assert "replace  agents/bee.py  (newer than the snapshot)" in plan.stdout
    assert "registry entry in production: changed" in plan.stdout
    assert holdfast("restore", "latest", "--agent", "bee", cwd=saved.root).returncode == 4
    done = holdfast("restore", "latest", "--agent", "bee", "--yes", "--json", cwd=saved.root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["entry"] == "changed"
    after = json.loads(registry.read_text(encoding="utf-8"))["agentRegistry"]
    assert after["production"]["bee"] == before["production"]["bee"]
    assert "bee" not in after["staging"]
    assert after["production"]["wasp"]["name"] == "Newer"
    assert (saved.root / "agents/bee.py").read_bytes() == saved.files["agents/bee.py"]
    assert b"broken" in kept(saved.root)
    with saved.opened() as workspace:  # and there is a way back
        workspace.registry.undo()
        assert workspace.registry.get("bee").group == "staging"


def test_an_agent_that_is_a_folder_and_gone_from_everywhere(saved: Saved) -> None:
    shutil.rmtree(saved.root / "agents/hive")
    with saved.opened() as workspace:
        workspace.registry.remove("hive")
        layout = workspace.layout
        source = source_of(saved)
        report = restore_component(source, layout, find_component(source, layout, "agent", "hive"))
        assert (report.entry, report.paths, report.healthy) == ("added", ["agents/hive"], True)
        assert workspace.registry.get("hive").path == str(saved.root / "agents/hive")
    assert (saved.root / "agents/hive/comb.txt").read_text(encoding="utf-8") == "honey\n"


def test_an_unknown_agent_is_told_apart(saved: Saved, holdfast: Runner) -> None:
    done = holdfast("restore", "latest", "--agent", "bea", cwd=saved.root)
    assert done.returncode == 2
    assert "the snapshot has no agent 'bea' (did you mean bee?)" in done.stderr
    done = holdfast("restore", "latest", "agents", "--agent", "bee", cwd=saved.root)
    assert done.returncode == 2


def test_a_server_comes_back(saved: Saved, holdfast: Runner) -> None:
    path = saved.root / "configs/mcp/mcp-registry.json"
    shutil.rmtree(saved.root / "mcp-servers/ledger")
    path.write_text('{"mcpRegistry": {"production": {"other": {"command": "y"}}}}', "utf-8")
    done = holdfast("restore", "latest", "--server", "ledger", cwd=saved.root)
    assert done.returncode == 0, done.stderr
    entries = json.loads(path.read_text(encoding="utf-8"))["mcpRegistry"]["production"]
    assert entries == {
        "other": {"command": "y"},
        "ledger": {"command": "python", "args": ["mcp-servers/ledger/server.py"]},
    }
    assert (saved.root / "mcp-servers/ledger/server.py").is_file()


def test_the_seeds_own_partial_recovery(saved: Saved, holdfast: Runner, tmp_path: Path) -> None:
    """Restore to another place, copy from there, discover."""
    shutil.rmtree(saved.root / "agents/hive")
    with saved.opened() as workspace:
        workspace.registry.remove("hive")
    backup = tmp_path / "backup"
    done = holdfast("restore", "latest", "--agent", "hive", "--to", backup, cwd=saved.root)
    assert done.returncode == 0, done.stderr
    shutil.copytree(backup / "agents/hive", saved.root / "agents/production/hive")
    with saved.opened() as workspace:
        found = workspace.registry.discover_agents("development/agents")
        assert [agent.id for agent in found.added] == ["hive"]
        assert workspace.registry.get("hive").group == "production"


def test_a_workspace_that_has_moved_gets_its_agents_here(saved: Saved, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere/work"
    shutil.copytree(saved.root, moved)
    (moved / "agents/bee.py").unlink()
    with open_workspace(moved) as workspace:
        source = source_of(saved)
        component = find_component(source, workspace.layout, "agent", "bee")
        restore_component(source, workspace.layout, component, quarantine=workspace.quarantine)
        assert workspace.registry.get("bee").path == str(moved / "agents/bee.py")


@pytest.mark.parametrize("store", ["workflows", "events", "queues", "registry", "logs"])
def test_one_store_alone(saved: Saved, holdfast: Runner, store: str) -> None:
    change(saved)
    states: dict[str, Callable[[], bool]] = {
        "workflows": lambda: runs_in(saved.root / DATABASE) == ["before"],
        "events": lambda: events_in(saved.root) == ["Began"],
        "queues": lambda: jobs_in(saved.root) == ["before"],
        "registry": lambda: b'"wasp"' in contents(saved.root)["configs/agents/agent-registry.json"],
        "logs": lambda: contents(saved.root)["logs/worker.log"] == saved.files["logs/worker.log"],
    }
    assert not any(is_old() for is_old in states.values())
    shown = {"workflows": "workflow_runs", "events": "events  ", "logs": "replace  logs/worker.log"}
    done = holdfast("restore", "latest", "--store", store, "--dry-run", cwd=saved.root)
    assert done.returncode == 0, done.stderr
    assert shown.get(store, "replace  ") in done.stdout
    if store == "workflows":
        assert "2 rows now, 1 in the snapshot" in done.stdout
    assert holdfast("restore", "latest", "--store", store, cwd=saved.root).returncode == 4
    assert not any(is_old() for is_old in states.values())
    done = holdfast("restore", "latest", "--store", store, "--yes", cwd=saved.root)
    assert done.returncode == 0, done.stderr
    assert {name for name, is_old in states.items() if is_old()} == {store}
    with saved.opened() as workspace:  # each store goes on
        workspace.queue("jobs").put({"job": "later"})
        workspace.events.append("story", "Later", {})
        doubled.start(3, id="later").result()
        assert workspace.queue("jobs").take()[0].body["job"] == "before"


def test_what_runs_cannot_go_on_in_what_came_back(saved: Saved) -> None:
    """A process that executes a run from before the restore is shut out of the restored one."""
    database = saved.root / DATABASE
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(
            "UPDATE workflow_runs SET finished = NULL, status = 'running', epoch = 5"
        )
        connection.commit()
    with saved.opened() as workspace:
        workspace.snapshot()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE workflow_runs SET epoch = 7, owner = 'somebody'")
        connection.commit()
    for _ in range(2):
        restore_store(source_of(saved), saved.opened(), "workflows")
    with closing(sqlite3.connect(database)) as connection:
        owner, epoch = connection.execute("SELECT owner, epoch FROM workflow_runs").fetchone()
    assert owner is None
    assert epoch > 7 + 5


@pytest.mark.parametrize(
    ("store", "url"),
    [("queues", "sqlite"), ("workflows", "json"), ("events", "postgresql")],
)
def test_stores_on_other_engines(tmp_path: Path, store: str, url: str) -> None:
    from holdfast.workspace.creation import create

    root = create(tmp_path / "development", home=tmp_path).layout.root
    places = {
        "sqlite": f"sqlite:///{(root / '.holdfast/queues.db').as_posix().lstrip('/')}",
        "json": f"json:///{(root / '.holdfast/runs').as_posix().lstrip('/')}",
        "postgresql": "postgresql://127.0.0.1:1/nothing",
    }
    if sys.platform != "win32":
        places = {key: text.replace(":///", ":////") for key, text in places.items()}
    settings = {store: {"url": places[url].replace("////127", "//127")}}
    (root / "configs/holdfast.json").write_text(json.dumps(settings), encoding="utf-8")
    with open_workspace(root) as workspace:
        if store == "queues":
            workspace.queue("jobs").put({"job": "before"})
        if store == "workflows":
            doubled.start(1, id="before").result()
        workspace.snapshot()
        vault = Vault.open(workspace.settings.backups)
    source = Source(vault, "latest")
    if store == "events":
        with open_workspace(root) as workspace, pytest.raises(UsageError, match="hold no servers"):
            restore_store(source, workspace, "events")
        return
    with open_workspace(root) as workspace:
        if store == "queues":
            workspace.queue("jobs").put({"job": "after"})
            workspace.queue("more").put({"job": "after"})
        else:
            doubled.start(2, id="after").result()
    with open_workspace(root) as workspace:
        restore_store(source, workspace, "queues" if store == "queues" else "workflows")
    if store == "queues":
        assert jobs_in(root) == ["before"]
        with open_workspace(root) as workspace:
            assert workspace.queue_names() == ["jobs"]
    else:
        with open_workspace(root) as workspace:
            assert [info.id for info in workspace.workflows.list()] == ["before"]


def test_a_folder_in_use_is_not_exchanged(saved: Saved) -> None:
    change(saved)
    code = "import sys; file = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    held = next((saved.root / ".holdfast/queues/jobs").rglob("*.jsonl"))
    with subprocess.Popen(
        [sys.executable, "-c", code, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as live:
        try:
            assert live.stdout is not None
            live.stdout.readline()
            with pytest.raises(RefusedError, match=f"process {live.pid}.*holdfast stop"):
                restore_store(source_of(saved), saved.opened(), "queues")
            done = subprocess.run(
                command("restore", "latest", "--yes", "-w", saved.root),
                env=environment(),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 4, done.stderr
        finally:
            live.kill()
    assert jobs_in(saved.root) == ["before", "after"]


def test_a_snapshot_without_the_store(saved: Saved, tmp_path: Path) -> None:
    saved.vault.snapshot(tmp_path / "home/.claude")
    with saved.opened() as workspace, pytest.raises(NotFoundError, match="the snapshot has no"):
        restore_store(source_of(saved), workspace, "queues")


@pytest.mark.slow
@pytest.mark.parametrize("part", ["--agent bee", "--store queues", "--store workflows"])
def test_killed_at_every_fault_point(saved: Saved, tmp_path: Path, part: str) -> None:
    change(saved)
    with saved.opened() as workspace:
        workspace.registry.update("bee", colour="black")
    (saved.root / "agents/bee.py").write_text("broken", encoding="utf-8")
    copy = tmp_path / "harmed"
    shutil.copytree(saved.root, copy)
    work = ["restore", "latest", *part.split(), "--yes", "-w", saved.root]
    points = visited(*work, trace=tmp_path / "trace")
    assert any(point.startswith(("recovery.", "sqlite.")) for point in points)
    for point, count in sorted(points.items()):
        for visit in sorted({1, count if point.startswith(("recovery.", "sqlite.")) else 1}):
            shutil.rmtree(saved.root)
            shutil.copytree(copy, saved.root)
            faults = environment(f"{point}=crash@{visit}")
            ended = subprocess.run(command(*work), env=faults, check=False, capture_output=True)
            assert ended.returncode not in (0, 1), (point, visit)
            done = subprocess.run(
                command(*work), env=environment(), check=False, capture_output=True, text=True
            )
            assert done.returncode == 0, (point, visit, done.stderr)
            with saved.opened() as workspace:
                colour = workspace.registry.get("bee").further["colour"]
            old = [
                colour == "yellow",
                jobs_in(saved.root) == ["before"],
                runs_in(saved.root / DATABASE) == ["before"],
            ]
            assert old == [part == "--agent bee", part == "--store queues", "work" in part]
