"""Moving secrets: the file keeps a reference, the value is never lost and never printed."""

import json
import stat
import sys
from pathlib import Path

import pytest

from holdfast.errors import ConflictError, LockedError, MissingError, RefusedError, UsageError
from holdfast.facade import Workspace, open_workspace
from holdfast.guard.secrets.moving import move
from tests.conftest import Runner, was_killed
from tests.guard.secrets.test_scan import CORPUS, GITHUB

ENV = f"# mine\nA=1\r\nexport GH='{GITHUB}'  # two\nDB_URL=postgres://ann:hunter2-more@h/x\n"


def test_an_environment_file_keeps_every_other_byte(workspace: Workspace) -> None:
    path = workspace.layout.root / ".env"
    path.write_bytes(ENV.encode())
    moved = move(workspace, path, everything=True)
    assert [(each.line, each.name) for each in moved] == [(3, "GH"), (4, "DB_URL")]
    expected = "# mine\nA=1\r\nexport GH=${GH}  # two\nDB_URL=${DB_URL}\n"
    assert path.read_bytes().decode() == expected
    assert workspace.secrets.get("GH") == GITHUB
    assert workspace.secrets.get("DB_URL") == "postgres://ann:hunter2-more@h/x"
    shared = json.loads(workspace.layout.environment.read_bytes())
    assert shared["GH"] == "${secret:GH}"


def test_a_clients_file_keeps_its_form_and_every_other_byte(workspace: Workspace) -> None:
    text = (
        '{"mcpServers": {\n\t"a": {"args": ["--api-key", "%s"],\n'
        '\t\t"env": {"DB_URL": "postgres://x:%s@h/y", "N": "1"},\n'
        '\t\t"headers":{"Authorization": "Bearer %s"} } } }\n'
    )
    values = (GITHUB, "hunter2-and-more", "q8Zr2LxW0vKp5TnY7uBd3Mc")
    path = workspace.layout.root / ".mcp.json"
    path.write_bytes((text % values).encode())
    move(workspace, path, everything=True)
    after = path.read_bytes().decode()
    assert after == (text % ("${API_KEY}", "@", "${AUTHORIZATION}")).replace(
        "postgres://x:@@h/y", "${DB_URL}"
    )
    assert workspace.secrets.get("DB_URL") == "postgres://x:hunter2-and-more@h/y"
    assert workspace.secrets.get("AUTHORIZATION") == values[2]


@pytest.mark.parametrize(
    "place",
    [
        "../.claude.json",
        ".mcp.json",
        "../.mcp.json",
        "configs/mcp/mcp-registry.json",
        "configs/mcp/claude-code-updated.json",
    ],
)
def test_every_file_of_servers_gets_a_reference(workspace: Workspace, place: str) -> None:
    """By whatever spelling of its path."""
    entry = {"ledger": {"command": "x", "env": {"GITHUB_TOKEN": GITHUB}}}
    root = {"mcpRegistry": {"production": entry}} if "registry" in place else {"mcpServers": entry}
    path = workspace.layout.root / place
    path.write_text(json.dumps(root, indent=2), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    move(workspace, path)
    assert path.read_text(encoding="utf-8") == before.replace(GITHUB, "${GITHUB_TOKEN}")
    assert workspace.secrets.get("GITHUB_TOKEN") == GITHUB


def test_services_get_a_secret_of_the_shared_environment(workspace: Workspace) -> None:
    from holdfast.services.environment import environment_for, secret_values

    path = workspace.layout.environment
    path.write_text(json.dumps({"API_TOKEN": GITHUB, "X": "1"}), encoding="utf-8")
    move(workspace, path)
    assert json.loads(path.read_bytes()) == {"API_TOKEN": "${secret:API_TOKEN}", "X": "1"}
    found = environment_for(workspace.layout, {"URL": "u:${API_TOKEN}"}, workspace.secrets.get)
    assert found["API_TOKEN"] == GITHUB
    assert found["HOLDFAST_SECRETS"] == "API_TOKEN,URL"
    assert secret_values(found) == [GITHUB, f"u:{GITHUB}"]


def test_what_cannot_be_moved_stays_as_it_is(workspace: Workspace) -> None:
    layout = workspace.layout
    desktop = layout.home / ".config" / "Claude" / "claude_desktop_config.json"
    desktop.parent.mkdir(parents=True)
    other = layout.root / "x.yaml"
    key = layout.root / ".mcp.json"
    for path, text, error in (
        (desktop, json.dumps({"token": GITHUB}), RefusedError),
        (other, f"token: {GITHUB}\n", RefusedError),
        (key, json.dumps({"k": CORPUS["private key"]}), RefusedError),
        (layout.root / ".env", "A=1\n", UsageError),
    ):
        if path == desktop and sys.platform != "linux":
            continue
        path.write_text(text, encoding="utf-8", newline="\n")
        with pytest.raises(error):
            move(workspace, path)
        assert path.read_text(encoding="utf-8") == text
    assert workspace.secrets.list() == []
    move(workspace, other, reference="$({name})", name="HUB")
    assert other.read_text(encoding="utf-8") == "token: $(HUB)\n"


def test_a_name_that_has_another_value_is_refused(workspace: Workspace) -> None:
    workspace.secrets.put("GH", "something else")
    path = workspace.layout.root / ".env"
    path.write_text(f"GH={GITHUB}\n", encoding="utf-8")
    with pytest.raises(ConflictError):
        move(workspace, path)
    assert workspace.secrets.get("GH") == "something else"
    assert GITHUB in path.read_text(encoding="utf-8")


def test_undo_brings_the_file_back_and_the_secret_stays(
    workspace: Workspace, holdfast: Runner
) -> None:
    root = workspace.layout.root
    (root / ".env").write_bytes(ENV.encode())
    before = workspace.layout.environment.read_bytes()
    assert holdfast("secrets", "move", ".env", "--all", cwd=root).returncode == 0
    assert holdfast("undo", "--yes", cwd=root).returncode == 0
    assert (root / ".env").read_bytes() == ENV.encode()
    assert workspace.layout.environment.read_bytes() == before
    assert workspace.secrets.get("GH") == GITHUB


def test_no_command_ever_prints_a_value(workspace: Workspace, holdfast: Runner) -> None:
    root = workspace.layout.root
    (root / ".env").write_bytes(ENV.encode())
    (root / "shared" / "again.txt").write_text(f"say {GITHUB}\n", encoding="utf-8")
    calls: list[tuple[list[str], str | None]] = [
        (["scan"], None),
        (["scan", "--json"], None),
        (["move", ".env"], None),
        (["move", ".env", "--line", "3", "--dry-run", "--json"], None),
        (["move", ".env", "--all"], None),
        (["list"], None),
        (["list", "--json"], None),
        (["set", "GH"], f"{GITHUB}\n"),
        (["set", "GH", "--yes"], f"{GITHUB}\n"),
        (["set", GITHUB], "value\n"),
        (["mask"], f"a {GITHUB} b\n"),
        (["trace", "--name", "GH"], None),
        (["trace", "--json"], f"{GITHUB}\n"),
        (["scan", "--accept"], None),
        (["remove", "GH", "--yes"], None),
        (["list"], None),
    ]
    said = ""
    for arguments, stdin in calls:
        done = holdfast("secrets", *arguments, cwd=root, stdin=stdin)
        said += done.stdout + done.stderr
    for value in (GITHUB, "hunter2"):
        assert value not in said
    assert "shared/again.txt:1" in said


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has lists of access, not modes")
def test_what_is_kept_is_for_the_owner_only(workspace: Workspace) -> None:
    workspace.secrets.put("GH", GITHUB)
    files = [*workspace.layout.secrets.iterdir(), workspace.secrets.identity]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.parent.stat().st_mode) for path in files} == {0o700}
    assert GITHUB.encode() not in b"".join(path.read_bytes() for path in files)


def test_without_its_key_a_secret_is_locked_and_a_missing_one_is_named(
    workspace: Workspace,
) -> None:
    workspace.secrets.put("GH", GITHUB)
    workspace.secrets.identity.rename(workspace.secrets.identity.with_name("gone"))
    with pytest.raises(LockedError):
        workspace.secrets.get("GH")
    with pytest.raises(MissingError):
        workspace.secrets.get("OTHER")


MOVE = """
import sys
from pathlib import Path
from holdfast.facade import open_workspace
from holdfast.guard.secrets.moving import move
with open_workspace(Path(sys.argv[1])) as workspace, workspace.point("move"):
    move(workspace, workspace.layout.root / ".env", everything=True)
"""


def test_killed_at_any_point_the_value_is_in_the_file_or_the_store(
    workspace: Workspace, run_python: Runner, tmp_path: Path
) -> None:
    root = workspace.layout.root
    path, visited = root / ".env", tmp_path / "visited"
    shared = workspace.layout.environment.read_bytes()
    path.write_bytes(ENV.encode())
    assert run_python(MOVE, root, trace=visited).returncode == 0
    points = visited.read_text(encoding="utf-8").split()
    assert "secrets.move.kept" in points
    seen: dict[str, int] = {}
    for point in points:
        seen[point] = seen.get(point, 0) + 1
        for each in workspace.secrets.list():
            workspace.secrets.remove(each.name)
        workspace.secrets.identity.unlink()
        workspace.layout.environment.write_bytes(shared)
        path.write_bytes(ENV.encode())
        killed = run_python(MOVE, root, faults=f"{point}=crash@{seen[point]}")
        assert was_killed(killed), (point, killed.stderr)
        text = path.read_text(encoding="utf-8")
        with open_workspace(root) as again:
            kept = {each.name: again.secrets.get(each.name) for each in again.secrets.list()}
        assert GITHUB in text or kept.get("GH") == GITHUB, point
        assert ENV.splitlines()[0] in text, point
        assert run_python(MOVE, root).returncode in (0, 1)  # 1: nothing is left to move
        assert workspace.secrets.get("GH") == GITHUB
        assert GITHUB not in path.read_text(encoding="utf-8")
