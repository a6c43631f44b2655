"""A workspace with something in every store, its snapshot, and ways to tell states apart."""

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast.facade import Workspace, open_workspace
from holdfast.logs import close_loggers
from holdfast.vault import Vault
from holdfast.workflows import step, workflow
from holdfast.workspace.creation import adopt
from tests.conftest import SOURCE


@step
def twice(number: int) -> int:
    return number * 2


@workflow
def doubled(number: int) -> int:
    return twice(number)


@dataclass
class Saved:
    """A workspace, the vault that has one snapshot of it, and what the files were then."""

    root: Path
    home: Path
    vault: Vault
    files: dict[str, bytes]

    def opened(self) -> Workspace:
        return open_workspace(self.root)


def fill(root: Path, home: Path) -> None:
    """Something in every store of the workspace `root`."""
    (root / "agents").mkdir(parents=True)
    for name in ("bee", "wasp"):
        (root / f"agents/{name}.py").write_text(f'"""Agent {name}."""\n', encoding="utf-8")
    (root / "agents/hive").mkdir()
    (root / "agents/hive/main.py").write_text('"""The hive."""\n', encoding="utf-8")
    (root / "agents/hive/comb.txt").write_text("honey\n", encoding="utf-8")
    (root / "notes").mkdir()
    for number in range(3):
        (root / f"notes/{number}.txt").write_text(f"note {number}\n", encoding="utf-8")
    servers = root / "mcp-servers/ledger"
    servers.mkdir(parents=True)
    (servers / "server.py").write_text("print('ledger')\n", encoding="utf-8")
    registry = root / "configs/mcp/mcp-registry.json"
    registry.parent.mkdir(parents=True)
    registry.write_text(
        '{"mcpRegistry": {"production": {"ledger": {"command": "python",'
        ' "args": ["mcp-servers/ledger/server.py"]}, "other": {"command": "x"}}}}\n',
        encoding="utf-8",
    )
    transcripts = home / ".claude/projects/a"
    transcripts.mkdir(parents=True)
    (transcripts / "b.jsonl").write_text("{}\n", encoding="utf-8")
    (home / ".mcp.json").write_text('{"mcpServers": {}}\n', encoding="utf-8")
    adopt(root, home=home)
    with open_workspace(root) as workspace:
        workspace.registry.discover_agents(root / "agents")
        workspace.registry.update("bee", colour="yellow", tags=["a", {"b": 1.5}])
        doubled.start(1, id="before").result()
        workspace.queue("jobs").put({"job": "before"})
        workspace.events.append("story", "Began", {"at": 1})
        workspace.logger("worker").info("before")


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    root, home = tmp_path / "home/development", tmp_path / "home"
    fill(root, home)
    with open_workspace(root) as workspace:
        workspace.snapshot()
        path = workspace.settings.backups
    close_loggers()  # Windows lets no folder go while a file in it is open
    return Saved(root, home, Vault.open(path), contents(root))


def change(saved: Saved) -> None:
    """Let the workspace live on, and be harmed."""
    with saved.opened() as workspace:
        workspace.queue("jobs").put({"job": "after"})
        doubled.start(2, id="after").result()
        workspace.events.append("story", "WentOn", {"at": 2})
        workspace.logger("worker").info("after")
        workspace.registry.remove("wasp")
    close_loggers()
    (saved.root / "notes/0.txt").write_text("edited\n", encoding="utf-8")
    (saved.root / "notes/1.txt").unlink()
    (saved.root / "notes/extra.txt").write_text("mine\n", encoding="utf-8", newline="\n")
    (saved.root / "agents/hive/main.py").unlink()


_NOT_COMPARED = (
    "generations",
    "locks",
    "points",
    "quarantine",
    "recovery",
    "reserve",
    "services",
)


def contents(root: Path) -> dict[str, bytes]:
    """All files of a workspace that a snapshot holds, but for the database, with their bytes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and not path.name.startswith("state.db")
        and not path.name.endswith(".holdfast-tmp")
        and path.relative_to(root).parts[:2] not in [(".holdfast", x) for x in _NOT_COMPARED]
    }


def kept(root: Path) -> set[bytes]:
    """The content of every file in quarantine."""
    folder = root / ".holdfast/quarantine"
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def runs_in(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = connection.execute("SELECT id FROM workflow_runs ORDER BY id").fetchall()
    return [run_id for (run_id,) in rows]


def jobs_in(root: Path) -> list[str]:
    with open_workspace(root) as workspace:
        return [message.body["job"] for message in workspace.queue("jobs").peek(10)]


def events_in(root: Path) -> list[str]:
    with open_workspace(root) as workspace:
        return [event.type for event in workspace.events.read("story")]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "holdfast", *map(str, arguments)]


def environment(faults: str = "", trace: Path | None = None) -> dict[str, str]:
    extra = {"HOLDFAST_FAULTS": faults, "PYTHONPATH": str(SOURCE), "HOLDFAST_WORKSPACE": ""}
    if trace is not None:
        extra["HOLDFAST_FAULTS_TRACE"] = str(trace)
    return {**os.environ, **extra}


def visited(*arguments: object, trace: Path) -> Counter[str]:
    """Which fault points a whole command passes, and how often."""
    done = subprocess.run(
        command(*arguments), env=environment(trace=trace), check=False, capture_output=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Counter(trace.read_text(encoding="utf-8").split())
