"""Making a workspace and adopting one: complete, idempotent, overwriting nothing."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.durable.faults import armed
from holdfast.errors import NotFoundError, StorageError, UnreadableError, UsageError
from holdfast.workspace.creation import adopt, create, missing_parts
from holdfast.workspace.layout import FOLDERS, find_layout, marker_of, read_layout
from tests.conftest import Runner, child_environment, require_program


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its bytes, Holdfast's own state left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".holdfast" not in path.parts
    }


def test_init_makes_the_whole_layout_of_the_seed(tmp_path: Path) -> None:
    root = tmp_path / "development"
    made = create(root).made

    assert all((root / folder).is_dir() for folder in FOLDERS)
    registry = json.loads((root / "configs/agents/agent-registry.json").read_bytes())
    assert registry == {"agentRegistry": {"production": {}, "staging": {}, "development": {}}}
    for name in (
        "configs/mcp/mcp-registry.json",
        "configs/environment.json",
        ".gitignore",
        "verify-mcp-setup.py",
        "initialize.py",
        "shared/libraries/agent_registry.py",
        "shared/libraries/workflow_engine.py",
        "shared/libraries/message_queue.py",
    ):
        assert name in made
        assert (root / name).is_file()
    assert missing_parts(read_layout(root)) == []


def test_init_twice_changes_nothing(tmp_path: Path) -> None:
    root = tmp_path / "development"
    create(root, examples=True)
    before, marker = contents(root), marker_of(root).read_bytes()
    again = create(root, examples=True)
    assert again.made == []
    assert contents(root) == before
    assert marker_of(root).read_bytes() == marker


def test_init_never_overwrites(tmp_path: Path) -> None:
    root = tmp_path / "development"
    torn = root / "configs/agents/agent-registry.json"
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b'{"agentRegistry": {"produ')
    (root / ".gitignore").write_bytes(b"mine\r\n")
    done = create(root)
    assert torn.read_bytes() == b'{"agentRegistry": {"produ'
    assert (root / ".gitignore").read_bytes() == b"mine\r\n"
    assert {".gitignore", "configs/agents/agent-registry.json"} <= set(done.kept)


def test_adopt_adds_only_its_own_state(tmp_path: Path) -> None:
    """The seed's home: itself a git repository, with development/ untracked in it."""
    git = require_program("git")
    root = tmp_path / "development"
    (root / "agents").mkdir(parents=True)
    (root / "agents/director-agent.py").write_bytes(b"print('hello')\r\n")
    (root / "empty").mkdir()
    subprocess.run([git, "init", "-q", "-b", "master", str(tmp_path)], check=True)
    before = contents(root)

    layout = adopt(root, home=tmp_path).layout

    assert contents(root) == before
    assert sorted(path.name for path in root.iterdir()) == [".holdfast", "agents", "empty"]
    assert layout.home == tmp_path
    status = [git, "-C", str(tmp_path), "status", "--porcelain", "-uall"]
    listed = subprocess.run(status, check=True, capture_output=True, text=True).stdout
    assert listed == "?? development/agents/director-agent.py\n"
    assert adopt(root, home=tmp_path).made == []


def test_adopting_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such folder"):
        adopt(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_workspace_cannot_hold_another(tmp_path: Path) -> None:
    create(tmp_path / "outer")
    inner = tmp_path / "outer/agents/inner"
    with pytest.raises(UsageError, match="lies in the workspace"):
        create(inner)
    assert not inner.exists()
    create(tmp_path / "top/a/b")
    with pytest.raises(UsageError, match="holds the workspace"):
        adopt(tmp_path / "top")


def test_home_and_root_are_no_workspaces(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path.parent):
        with pytest.raises(UsageError, match="not the home itself"):
            create(root, home=tmp_path)
    with pytest.raises(UsageError):
        adopt(Path(tmp_path.anchor))


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    root = tmp_path / "development"
    root.mkdir()
    (root / "agents").write_text("not a folder", encoding="utf-8")
    with pytest.raises(UsageError, match="a file is where"):
        create(root)
    assert (root / "agents").read_text(encoding="utf-8") == "not a folder"


@pytest.mark.parametrize("cause", ["EROFS", "ENOSPC", "EACCES"])
def test_a_disk_that_refuses(tmp_path: Path, cause: str) -> None:
    with armed(f"files.temporary.written=error:{cause}"), pytest.raises(StorageError):
        create(tmp_path / "development")
    assert create(tmp_path / "development").layout.name == "development"


def test_a_newer_or_torn_marker_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "development"
    create(root)
    newer = b'{"id": "x", "name": "n", "home": "..", "formatVersion": 9}'
    for content in (b"", b'{"id": "x"', b"\0" * 40, newer):
        marker_of(root).write_bytes(content)
        with pytest.raises(UnreadableError):
            create(root)
        assert marker_of(root).read_bytes() == content


def test_the_workspace_is_found_upwards_and_by_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = create(tmp_path / "development").layout.root
    other = create(tmp_path / "other").layout.root
    monkeypatch.delenv("HOLDFAST_WORKSPACE", raising=False)
    monkeypatch.chdir(root / "configs/agents")
    assert find_layout().root == root
    monkeypatch.setenv("HOLDFAST_WORKSPACE", str(other))
    assert find_layout().root == other
    assert find_layout(root).root == root
    monkeypatch.delenv("HOLDFAST_WORKSPACE")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError, match="not a Holdfast workspace"):
        find_layout()


def test_workspace_and_home_move_together(tmp_path: Path) -> None:
    create(tmp_path / "before/development", home=tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "after")
    assert read_layout(tmp_path / "after/development").home == tmp_path / "after"


def test_eight_processes_make_one_workspace(tmp_path: Path) -> None:
    root = tmp_path / "development"
    code = (
        "import sys; from pathlib import Path; from holdfast.workspace.creation import create\n"
        "print(create(Path(sys.argv[1])).layout.id)"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    ids = {child.communicate(timeout=60)[0].strip() for child in children}
    assert len(ids) == 1
    assert read_layout(root).id in ids
    assert not list(root.rglob("*.holdfast-tmp"))


def test_init_says_what_the_examples_need(tmp_path: Path, holdfast: Runner) -> None:
    made = holdfast("init", tmp_path / "development", "--examples", "--home", tmp_path)
    folder = tmp_path / "development" / "mcp-servers" / "financial"
    assert f"npm install --prefix {folder}" in made.stdout
    assert "holdfast servers set financial status=active" in made.stdout
    plain = holdfast("init", tmp_path / "other", "--home", tmp_path)
    assert "financial" not in plain.stdout


def test_no_folder_to_look_upwards_from(tmp_path: Path) -> None:
    code = (
        "import os, sys; from holdfast.workspace.layout import find_layout\n"
        "os.rmdir(os.getcwd())\n"
        "try: find_layout()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    if sys.platform == "win32":
        pytest.skip("Windows removes no folder that somebody is in")
    (tmp_path / "gone").mkdir()
    environment = {**child_environment(), "HOLDFAST_WORKSPACE": ""}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "gone",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("NotFoundError the folder you are in was removed"), done.stderr
