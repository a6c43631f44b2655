"""A whole workspace back: in place, on an empty machine, with its dependencies and services."""

import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError, RefusedError
from holdfast.facade import open_workspace
from holdfast.recovery.recover import recover
from holdfast.recovery.source import Source, relative_to
from holdfast.workspace.creation import adopt, create
from tests.conftest import Runner, require_program
from tests.recovery.conftest import (
    Saved,
    change,
    contents,
    environment,
    events_in,
    jobs_in,
    kept,
    runs_in,
)

DATABASE = ".holdfast/state.db"


def test_in_place_everything_is_as_it_was_and_what_was_there_is_kept(saved: Saved) -> None:
    change(saved)
    harmed = contents(saved.root)
    told: list[str] = []
    source = Source(saved.vault, "latest")
    report = recover(source, saved.root, told=lambda step: told.append(step.name))
    assert report.healthy, report
    assert not report.resumed
    assert told == [each.name for each in report.steps]
    assert told == [
        "present stores",
        "files",
        "Python packages",
        "configurations",
        "services",
    ]
    assert contents(saved.root) == {**saved.files, "notes/extra.txt": b"mine\n"}
    assert runs_in(saved.root / DATABASE) == ["before"]
    assert jobs_in(saved.root) == ["before"]
    assert events_in(saved.root) == ["Began"]
    replaced = {data for path, data in harmed.items() if saved.files.get(path) != data}
    assert replaced - {b"mine\n"} <= kept(saved.root)
    again = recover(Source(saved.vault, "latest"), saved.root)
    assert again.run != report.run


def test_from_the_backup_folder_alone(saved: Saved, tmp_path: Path, holdfast: Runner) -> None:
    shutil.rmtree(saved.root)
    new = tmp_path / "new machine/work"
    home = tmp_path / "new machine"
    done = holdfast("recover", "--from", saved.vault.path, cwd=tmp_path)
    assert done.returncode == 2
    assert "--from needs --to" in done.stderr
    arguments = ["recover", "latest", "--from", saved.vault.path, "--to", new, "--home", home]
    plan = holdfast(*arguments, "--dry-run", "--json", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "agents/bee.py" in {step["path"] for step in json.loads(plan.stdout)["plan"]}
    assert not new.exists()
    done = holdfast(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Recovered {new} from snapshot" in done.stdout
    assert jobs_in(new) == ["before"]
    assert runs_in(new / DATABASE) == ["before"]
    assert (home / ".mcp.json").is_file()
    with open_workspace(new) as workspace:  # its agents are those here, not those that were there
        agent = workspace.registry.get("bee")
        assert agent.path == str(new / "agents/bee.py")
        assert agent.further == {"colour": "yellow", "tags": ["a", {"b": 1.5}]}
        assert not workspace.registry.validate()


@pytest.mark.parametrize("asked", ["--from", "in another workspace"])
def test_a_recovery_over_another_folder_can_be_undone(
    saved: Saved, tmp_path: Path, holdfast: Runner, asked: str
) -> None:
    other = tmp_path / "other"
    (other / "agents").mkdir(parents=True)
    (other / "agents/bee.py").write_text("mine\n", encoding="utf-8")
    adopt(other, home=tmp_path / "other-home")
    with open_workspace(other) as workspace:
        workspace.queue("jobs").put({"job": "other"})
    before = contents(other)
    source = ["--from", saved.vault.path] if asked == "--from" else ["-w", saved.root]
    done = holdfast("recover", "latest", *source, "--to", other, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert jobs_in(other) == ["before"]
    assert (other / "agents/bee.py").read_bytes() == saved.files["agents/bee.py"]
    undone = holdfast("undo", "--yes", "-w", other)
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert contents(other) == before


def test_of_the_home_what_is_missing_comes_back(saved: Saved, holdfast: Runner) -> None:
    transcript = saved.home / ".claude/projects/a/b.jsonl"
    shutil.rmtree(saved.home / ".claude")
    (saved.home / ".mcp.json").write_text('{"newer": 1}', encoding="utf-8")
    before = time.time()
    done = holdfast("recover", "--yes", cwd=saved.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert transcript.stat().st_mtime >= before - 2  # or its client would delete it for its age
    assert (saved.home / ".mcp.json").read_text(encoding="utf-8") == '{"newer": 1}'


def test_nothing_newer_is_replaced_unseen(saved: Saved, holdfast: Runner) -> None:
    change(saved)
    done = holdfast("recover", cwd=saved.root)
    assert done.returncode == 4
    assert "replace  notes/0.txt  (newer than the snapshot)" in done.stderr
    assert (saved.root / "notes/0.txt").read_text(encoding="utf-8") == "edited\n"
    assert holdfast("recover", "--yes", cwd=saved.root).returncode == 0
    assert (saved.root / "notes/0.txt").read_text(encoding="utf-8") == "note 0\n"


def test_while_a_process_uses_the_queues_it_is_refused(saved: Saved) -> None:
    change(saved)
    code = (
        "import sys, holdfast, time\n"
        "queue = holdfast.open_workspace(sys.argv[1]).queue('jobs')\n"
        "queue.put({'job': 'live'}); print('open', flush=True); sys.stdin.read()\n"
    )
    live = subprocess.Popen(
        [sys.executable, "-c", code, str(saved.root)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with live:
        try:
            assert live.stdout is not None
            live.stdout.readline()
            with pytest.raises(RefusedError, match=f"process {live.pid}"):
                recover(Source(saved.vault, "latest"), saved.root)
            assert jobs_in(saved.root) == ["before", "after", "live"]
        finally:
            live.kill()
    assert recover(Source(saved.vault, "latest"), saved.root).healthy


def test_a_database_in_use_is_replaced_inside(saved: Saved) -> None:
    """Who has it open sees the state of the snapshot, and what it writes then is kept."""
    change(saved)
    code = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('SELECT count(*) FROM workflow_runs').fetchone()\n"
        "print('open', flush=True); sys.stdin.readline()\n"
        "print(connection.execute('SELECT group_concat(id) FROM workflow_runs').fetchone()[0])\n"
        "connection.execute('CREATE TABLE live (x)')\n"
    )
    live = subprocess.Popen(
        [sys.executable, "-c", code, str(saved.root / DATABASE)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with live:
        assert live.stdout is not None
        live.stdout.readline()
        assert recover(Source(saved.vault, "latest"), saved.root).healthy
        output, _ = live.communicate("go\n", timeout=60)
    assert output.strip() == "before"
    assert runs_in(saved.root / DATABASE) == ["before"]
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(saved.root / DATABASE)) as connection:
        connection.execute("SELECT * FROM live")
    (copy,) = [
        entry
        for entry in saved.opened().quarantine.list_entries()
        if entry.origin == str(saved.root / DATABASE)
    ]
    item = saved.root / ".holdfast/quarantine" / copy.id / "item"
    assert runs_in(item) == ["after", "before"]


def test_only_a_workspace_can_be_recovered(tmp_path: Path, saved: Saved) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("x", encoding="utf-8")
    saved.vault.snapshot(other)
    with pytest.raises(NotFoundError, match="holds no workspace"):
        recover(Source(saved.vault, "latest"), tmp_path / "new")


def test_paths_of_any_system() -> None:
    assert relative_to("C:\\Users\\Corbin\\dev", "c:\\users\\corbin\\dev\\agents\\a.py") == (
        "agents/a.py"
    )
    assert relative_to("/srv/c/dev", "/srv/c/dev/agents") == "agents"
    assert relative_to("/srv/c/dev", "agents/a.py") == "agents/a.py"
    assert relative_to("/srv/c/dev", "/elsewhere") is None


AGENT = """
    import os, time
    print("ready", flush=True)
    while not os.path.exists(os.environ["HOLDFAST_STOP_FILE"]):
        time.sleep(0.02)
"""


@pytest.mark.slow
def test_dependencies_configurations_and_services(tmp_path: Path, holdfast: Runner) -> None:
    """The seed's full recovery, offline: pip from a wheel, npm from a folder, its own scripts."""
    import textwrap

    require_program("npm")
    root = create(tmp_path / "development", home=tmp_path).layout.root
    make_wheel(root / "wheels", "honeycomb")
    options = "--no-index\n--find-links wheels\n"
    (root / "requirements.txt").write_text(options + "honeycomb\n", encoding="utf-8")
    server(root, "financial", {"rates": "file:../../shared/rates"})
    server(root, "broken", {"nowhere": "file:./nowhere/at/all"})
    (root / "mcp-servers/broken/requirements.txt").write_text(
        f"{options}no-such-package\n", encoding="utf-8"
    )
    rates = root / "shared/rates"
    rates.mkdir(parents=True)
    (rates / "package.json").write_text('{"name":"rates","version":"1.0.0"}', encoding="utf-8")
    (root / "agents/bee.py").write_text(textwrap.dedent(AGENT), encoding="utf-8")
    with open_workspace(root) as workspace:
        service = {"ready": {"log": "ready"}}
        workspace.registry.add("bee", path=root / "agents/bee.py", service=service)
    assert holdfast("start", cwd=root).returncode == 0
    assert holdfast("backup", "create", cwd=root).returncode == 0
    (root / "agents/bee.py").write_text("raise SystemExit('destroyed')", encoding="utf-8")
    shutil.rmtree(root / "mcp-servers")
    try:
        done = holdfast("recover", "--yes", "--json", cwd=root)
        assert done.returncode == 1, done.stdout + done.stderr
        report = json.loads(done.stdout)
        steps = {step["name"]: step for step in report["steps"]}
        assert [name for name, step in steps.items() if not step["ok"]] == ["server broken"]
        assert "no-such-package" in steps["server broken"]["output"]
        assert steps["services"]["summary"].startswith("initialize.py: ready")
        python = (
            root / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        )
        subprocess.run([python, "-c", "import honeycomb"], check=True, cwd=tmp_path)
        assert (root / "mcp-servers/financial/node_modules/rates/package.json").is_file()
        (root / "mcp-servers/broken/requirements.txt").unlink()
        (root / "mcp-servers/broken/package.json").write_text("{}", encoding="utf-8")
        assert holdfast("ps", cwd=root).returncode == 0
    finally:
        holdfast("stop", cwd=root)


def server(root: Path, name: str, needs: dict[str, str]) -> None:
    folder = root / "mcp-servers" / name
    folder.mkdir(parents=True)
    package = {"name": name, "version": "1.0.0", "dependencies": needs}
    (folder / "package.json").write_text(json.dumps(package), encoding="utf-8")


def make_wheel(folder: Path, name: str) -> None:
    """The smallest wheel that pip installs."""
    folder.mkdir()
    info = f"{name}-1.0.dist-info"
    facts = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*facts, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in {**facts, f"{info}/RECORD": record}.items():
            wheel.writestr(path, text)
