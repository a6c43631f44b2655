"""No command prints a secret of a file that it may come across, as text or as JSON."""

import json
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from holdfast.cli.main import holdfast as everything
from holdfast.facade import Workspace
from holdfast.logs import close_loggers
from tests.guard.secrets.conftest import Git

# Braces keep scanners from taking this file for a leak.
TOKEN = "ghp_{}".format("a1B2c3D4e5F6g7H8" * 2 + "wXyZ")
PASSWORD = "{}-Pa55w0rd-qwz9".format("s3cr3t")
# These go on until they are ended, start others, or are the way to a value: their own tests.
NOT_HERE = {"demo", "mcp", "ui", "start", "restart", "recover", "completion", "init", "adopt"}
NOT_THESE = {
    "schedule watch",
    "schedule run-due",
    "servers watch",
    "workflows worker",
    "secrets run",
}
ARGUMENTS = {
    "agents show": ["bee"],
    "agents add": ["wasp", "--path", "agents"],
    "agents set": ["bee", "status=inactive"],
    "servers show": ["github"],
    "servers import": ["--from", ".mcp.json"],
    "servers verify": ["--static"],
    "backup show": ["latest"],
    "backup find": ["env"],
    "backup diff": ["latest", "latest"],
    "backup create": ["--tag", "again"],
    "restore": ["latest", ".env", "--dry-run"],
    "history show": ["HEAD"],
    "history restore": [".env", "--rev", "HEAD", "--dry-run"],
    "secrets move": [".env", "--all", "--dry-run"],
    "secrets set": ["OTHER_TOKEN"],
    "secrets remove": ["OTHER_TOKEN"],
    "config get": ["backups"],
    "config set": ["undo.keepDays", "20"],
    "logs": ["--grep", "use"],
    "logs prune": ["--dry-run"],
    "schedule install": ["--dry-run"],
    "schedule uninstall": ["--dry-run"],
    "workflows prune": ["--older-than", "30"],
    "undo": ["--list"],
}


@pytest.fixture
def planted(workspace: Workspace, git: Git) -> Workspace:
    """A workspace and a home with the secrets in files of all kinds, staged and committed too."""
    layout = workspace.layout
    root, claude = layout.root, layout.home / ".claude"
    server = {
        "command": "true",
        "args": ["--token", TOKEN],
        "env": {"GITHUB_TOKEN": TOKEN, "DB_PASSWORD": PASSWORD},
        "headers": {"Authorization": f"Bearer {TOKEN}"},
    }
    log = {"timestamp": "2026-01-20T10:30:00Z", "component": "bee", "level": "INFO"}
    said = {
        "type": "user",
        "cwd": str(root),
        "sessionId": "s1",
        "timestamp": "2026-01-20T10:30:00Z",
        "message": {"role": "user", "content": f"use {TOKEN}"},
    }
    typed = {"display": f"use {TOKEN}", "timestamp": 1767315600000, "project": str(root)}
    files = {
        root / ".env": f"GITHUB_TOKEN={TOKEN}\nDB_PASSWORD={PASSWORD}\n",
        layout.environment: json.dumps(
            {"GITHUB_TOKEN": TOKEN, "DB_URL": f"postgres://ann:{PASSWORD}@localhost/db"}
        ),
        root / ".mcp.json": json.dumps({"mcpServers": {"github": server}}, indent=2),
        layout.home / ".claude.json": json.dumps({"mcpServers": {"hub": server}}, indent=2),
        claude / "projects" / "-x" / "s1.jsonl": json.dumps(said) + "\n",
        claude / "history.jsonl": json.dumps(typed) + "\n",
        claude / "shell-snapshots" / "snapshot-bash-1.sh": f"export TOKEN='{TOKEN}'\n",
        layout.logs / "bee.log": json.dumps({**log, "message": f"use {TOKEN}", "task_id": None})
        + "\n",
        root / "agents" / "scout" / "settings.toml": f'password = "{PASSWORD}"\n',
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    workspace.registry.add("bee", path=root / "agents" / "scout")
    git("add", "-f", ".env", "agents")
    git("commit", "-qm", "Begin")
    (root / ".env").write_text(f"TOKEN={TOKEN}\n", encoding="utf-8")
    git("add", "-f", ".env")
    workspace.snapshot()
    return workspace


def commands() -> Iterator[str]:
    def below(group: click.Group, context: click.Context, above: str) -> Iterator[str]:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            path = f"{above} {name}".strip()
            if not isinstance(command, click.Group) or command.invoke_without_command:
                yield path
            if isinstance(command, click.Group):
                yield from below(command, context, path)

    yield from below(everything, click.Context(everything), "")


def test_none_prints_a_planted_secret(planted: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(planted.layout.root)
    monkeypatch.delenv("HOLDFAST_WORKSPACE", raising=False)
    leaks, said = [], {}
    for command in commands():
        if command.split()[0] in NOT_HERE or command in NOT_THESE:
            continue
        words = [*command.split(), *ARGUMENTS.get(command, [])]
        for more in ([], ["--json"]):
            result = CliRunner().invoke(everything, [*words, *more], input=f"{TOKEN}\n")
            shown = f"{result.output}{result.stderr}{result.exception or ''}"
            said[command] = shown
            if TOKEN in shown or PASSWORD in shown:
                leaks.append([*words, *more])
    close_loggers()
    assert leaks == []
    assert "12 likely secrets" in said["secrets scan"] or '"findings"' in said["secrets scan"]
    assert "use ••••" in said["logs"]
