"""The examples of README.md and docs/ do what the text around them says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from holdfast.engines.urls import url_for
from holdfast.workflows.declarations import order_of, read_declaration
from holdfast.workspace.creation import create
from tests.conftest import Runner, require_program

ROOT = Path(__file__).parent.parent
EXAMPLE = re.compile(r"<!-- example: (\w+) -->\n```\w+\n(.*?)```", re.DOTALL)
POSIX_SHELL = pytest.mark.skipif(
    sys.platform == "win32", reason="the commands are for a POSIX shell"
)


def examples(page: str) -> dict[str, str]:
    """The marked examples of a page, by name."""
    return dict(EXAMPLE.findall((ROOT / page).read_text(encoding="utf-8")))


@pytest.fixture
def workspace(holdfast: Runner, tmp_path: Path) -> Path:
    """The workspace that the demo leaves, which the page speaks of."""
    done = holdfast("demo", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stdout
    return Path(json.loads(done.stdout)["workspace"])


@POSIX_SHELL
def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [require_program("sh"), "-euc", examples("README.md")["shell"]],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PATH": scripts, "HOLDFAST_WORKSPACE": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "3 found: 3 new" in done.stdout
    assert "proven with" in done.stdout
    assert (tmp_path / "development/agents/director-agent.py").is_file()


@POSIX_SHELL
def test_the_commands_of_the_page_about_moving(tmp_path: Path) -> None:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [require_program("sh"), "-euc", examples("docs/howto-migrate.md")["migrate"]],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PATH": scripts, "HOLDFAST_WORKSPACE": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "holds 1 queues, 2 messages" in done.stdout
    assert "queues.url is sqlite://" in done.stdout
    assert "wasps" in done.stdout.splitlines()[-1]


def test_the_program_of_the_workflows_page(tmp_path: Path) -> None:
    root = create(tmp_path / "development", home=tmp_path).layout.root
    program = root / "orders.py"
    program.write_text(examples("docs/howto-workflows.md")["orders"], encoding="utf-8")
    for url in ("file", "sqlite"):
        if url == "sqlite":
            settings = {"queues": {"url": url_for("sqlite", root / ".holdfast" / "state.db")}}
            path = root / "configs" / "holdfast.json"
            path.write_text(json.dumps(settings), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, program],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HOLDFAST_WORKSPACE": ""},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "receipt of 7 0 1\n"


def test_the_declared_workflow_of_its_page(tmp_path: Path) -> None:
    text = examples("docs/howto-workflows.md")["declared"]
    schema = (ROOT / "docs/schemas/workflow.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(json.loads(text), json.loads(schema))
    path = tmp_path / "news.json"
    path.write_text(text, encoding="utf-8")
    declaration = read_declaration(path, tmp_path, lambda agent: [agent], lambda _: path)
    assert order_of(declaration) == ["collect", "note", "publish"]


def test_the_program_of_the_readme(tmp_path: Path) -> None:
    root = create(tmp_path / "development", home=tmp_path).layout.root
    (root / "bees.txt").write_text("hum hum hum", encoding="utf-8")
    (root / "wasps.txt").write_text("buzz", encoding="utf-8")
    (root / "program.py").write_text(examples("README.md")["python"], encoding="utf-8")
    for _ in range(2):  # the second time, the run is finished already
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=root,
            env={**os.environ, "HOLDFAST_WORKSPACE": ""},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == "{'bees.txt': 3, 'wasps.txt': 1}"
    line = json.loads((root / "logs/worker.log").read_text(encoding="utf-8").splitlines()[0])
    assert (line["message"], line["topic"]) == ("Working", "bees")


def test_the_program_about_events(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(examples("docs/howto-events.md")["python"], "utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "{'account-7': 4}",
        "3 {'account-7': 4}",
        "1 {'amount': 5}",
        "3 {'amount': 1}",
    ]


def test_the_program_about_topics(tmp_path: Path) -> None:
    place = (tmp_path / "state.db").as_posix().lstrip("/")
    program = examples("docs/howto-queues.md")["topics"].replace("/srv/shop/state.db", f"/{place}")
    if sys.platform == "win32":
        program = program.replace(f"sqlite:////{place}", f"sqlite:///{place}")
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "billing 2 18",
        "billing 1 17",
        "audit 2 18",
        "audit 1 17",
        "[18, 17]",
        "[('audit', 0), ('billing', 2)]",
    ]


@POSIX_SHELL
def test_the_stores_are_readable_without_holdfast(workspace: Path) -> None:
    shell = require_program("sh")
    for program in ("jq", "sqlite3"):
        require_program(program)
    outputs: dict[str, str] = {}
    for name, commands in examples("docs/stores.md").items():
        done = subprocess.run(
            [shell, "-euc", commands],
            cwd=workspace,
            check=True,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        outputs[name] = done.stdout
    assert "survey-demo|succeeded|shared/reports/survey-demo.md" in outputs["workflows"]
    assert "assign-1|" in outputs["workflows"]
    assert json.loads(outputs["queues"].splitlines()[0])["folder"] == "agents"
    assert outputs["logs"].splitlines().count("Survey published") == 1


@POSIX_SHELL
def test_the_how_tos_of_recovery_and_services(tmp_path: Path) -> None:
    """Every example of both pages, one after another in one workspace with the example agents."""
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    root = create(tmp_path / "development", home=tmp_path, examples=True).layout.root
    (root / "requirements.txt").unlink()  # pip is tried in tests/recovery
    (root / "agents/observatory-agent/main.py").write_text(
        "import time\nprint('watching', flush=True)\ntime.sleep(600)\n", encoding="utf-8"
    )

    def run(commands: str, cwd: Path = root) -> str:
        done = subprocess.run(
            [require_program("sh"), "-euc", commands],
            cwd=cwd,
            env={**os.environ, "HOME": str(tmp_path), "PATH": scripts, "HOLDFAST_WORKSPACE": ""},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("holdfast agents discover")
    try:
        output = run(examples("docs/howto-services.md")["services"])
        assert "observatory-agent\tready" in output
        run("holdfast workflows list; holdfast backup create")
        pages = examples("docs/howto-recover.md")
        assert "name: Director" in run(pages["agent"])
        run(pages["copy"])
        assert "Restored the workflows" in run(pages["store"])
        (root / "agents/surveyor-agent.py").unlink()
        assert f"Recovered {root}" in run(pages["everything"])
        assert (root / "agents/surveyor-agent.py").is_file()
        new = tmp_path / "new/development"
        assert f"Recovered {new}" in run(pages["machine"], tmp_path)
        assert (new / "agents/director-agent.py").is_file()
    finally:
        for place in (root, tmp_path / "new/development"):
            run(f"holdfast stop -w {place} || true")


@POSIX_SHELL
def test_an_agents_damage_is_undone_as_the_page_says(tmp_path: Path) -> None:
    said = _in_a_workspace(tmp_path, examples("docs/howto-undo.md")["undo"])
    assert "bring back " in said
    assert "# Plan" in said
    assert "Bash: rm -rf shared/plan.md" in said


@POSIX_SHELL
def test_the_schedule_is_changed_as_the_page_says(tmp_path: Path) -> None:
    said = _in_a_workspace(tmp_path, examples("docs/howto-schedule.md")["schedule"])
    assert "*/30 * * * *" in said
    assert "inventory: ok" in said


@POSIX_SHELL
def test_the_mcp_server_is_installed_as_the_page_says(tmp_path: Path) -> None:
    said = _in_a_workspace(tmp_path, examples("docs/howto-mcp.md")["mcp"])
    assert "+ mcpServers.holdfast" in said
    assert "code\tuser\tinstalled" in said
    assert "- mcpServers.holdfast" in said
    for path in (tmp_path / ".claude.json", tmp_path / "development" / ".mcp.json"):
        assert "holdfast" in json.loads(path.read_bytes())["mcpServers"], path


@POSIX_SHELL
def test_a_secret_is_moved_as_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("sha256sum")
    monkeypatch.setenv("HOLDFAST_KEYRING", "file")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    said = _in_a_workspace(tmp_path, examples("docs/howto-secrets.md")["secrets"])
    assert ".env:1: GitHub token ghp_… (40 characters)" in said
    assert "GITHUB_TOKEN=${GITHUB_TOKEN}" in said
    assert "its length is 40" in said
    assert "calling with •••• (40 characters)" in said
    assert ".holdfast/points/" in said


def _in_a_workspace(home: Path, commands: str) -> str:
    """What the commands say in a new workspace."""
    root = create(home / "development", home=home).layout.root
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [require_program("sh"), "-euc", commands],
        cwd=root,
        env={**os.environ, "HOME": str(home), "PATH": scripts, "HOLDFAST_WORKSPACE": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@POSIX_SHELL
def test_the_commands_of_the_page_on_backups(tmp_path: Path) -> None:
    from holdfast.vault.identities import generate_identity

    root = create(tmp_path / "development", home=tmp_path).layout.root
    (tmp_path / "media").mkdir()
    for name in ("recipient", "colleague"):
        public = generate_identity(tmp_path / "keys" / f"{name}.key")
        (root / f"{name}.txt").write_text(public, encoding="utf-8")
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    outputs: dict[str, str] = {}
    for name, commands in examples("docs/howto-backups.md").items():
        done = subprocess.run(
            [require_program("sh"), "-euc", commands],
            cwd=root,
            env={
                **os.environ,
                "HOME": str(tmp_path),
                "XDG_CONFIG_HOME": str(tmp_path / "config"),
                "PATH": scripts,
                "HOLDFAST_WORKSPACE": "",
            },
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        outputs[name] = done.stdout
    assert outputs["key"].count("age1") == 2
    assert outputs["destinations"].count("FAILED") == 0
    assert "1 were in disk before" in outputs["sync"]
    assert "new data" in outputs["recipients"]
    assert "every file compared" in outputs["archives"]


@POSIX_SHELL
def test_the_servers_are_kept_as_the_page_says(tmp_path: Path) -> None:
    layout = create(tmp_path / "development", home=tmp_path).layout
    (tmp_path / ".claude.json").write_text(
        '{"mcpServers": {"old": {"command": "echo"}}}', encoding="utf-8"
    )
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [require_program("sh"), "-euc", examples("docs/howto-servers.md")["servers"]],
        cwd=layout.root,
        env={**os.environ, "HOME": str(tmp_path), "PATH": scripts, "HOLDFAST_WORKSPACE": ""},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "+ mcpServers.hello" in done.stdout
    written = json.loads((tmp_path / ".claude.json").read_bytes())["mcpServers"]
    assert list(written) == ["old", "hello"]
