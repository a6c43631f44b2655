"""Discovery on real folders; no code of an agent is ever run."""

import os
import sys
from pathlib import Path

import pytest

from holdfast.errors import NotFoundError
from holdfast.registry import AgentRegistry, Discovery
from tests.conftest import require
from tests.registry.conftest import SEED, on_disk, open_registry, write

EXPLODES = "\nraise SystemExit('this agent was run')\n"


def make(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.fixture
def agents(tmp_path: Path) -> Path:
    return tmp_path / "development" / "agents"


def ids(found: Discovery) -> dict[str, str]:
    return {agent.id: agent.group for agent in found.added}


def messages(found: Discovery) -> dict[str | None, str]:
    return {problem.id: problem.message for problem in found.problems}


def test_files_folders_and_group_folders_are_found(registry: AgentRegistry, agents: Path) -> None:
    make(
        agents,
        {
            "director-agent.py": '"""Directs\nthe others.\n\nMore."""' + EXPLODES,
            "observatory-agent/main.py": 'NAME = "The Observatory"\nDESCRIPTION: str = "Watches"'
            + EXPLODES,
            "staging/scout/agent.json": '{"name": "Scout", "description": "Goes ahead."}',
            "development/node/package.json": '{"name": "node", "description": "In Node."}',
            "production/toml/pyproject.toml": '[project]\nname = "Toml"\ndescription = "T"',
            "readme-only/README.md": "# Hello",
            "constant.py": 'AGENT = {"name": "C", "description": "D"}' + EXPLODES,
            "my agent.py": "",
            "_private.py": "",
            "test_director.py": "",
            "conftest.py": "",
            "notes.txt": "",
            "empty-folder/data.bin": b"\0",
            "node_modules/x/package.json": "{}",
            ".venv/main.py": "",
            "__pycache__/main.py": "",
            "other/deep/main.py": "",
        },
    )
    found = registry.discover_agents(agents)
    assert ids(found) == {
        "constant": "production",
        "node": "development",
        "director-agent": "production",
        "my-agent": "production",
        "observatory-agent": "production",
        "toml": "production",
        "readme-only": "production",
        "scout": "staging",
    }
    assert (found.problems, found.updated, found.unchanged, found.missing) == ([], [], [], [])
    told = {agent.id: (agent.name, agent.description) for agent in registry.list()}
    assert told["director-agent"] == ("Director Agent", "Directs the others.")
    assert told["observatory-agent"] == ("The Observatory", "Watches")
    assert told["scout"] == ("Scout", "Goes ahead.")
    assert told["node"] == ("Node", "In Node.")
    assert told["toml"] == ("Toml", "T")
    assert told["constant"] == ("C", "D")
    assert registry.get("director-agent").path == str(agents / "director-agent.py")
    assert registry.validate() == []


def test_a_second_discovery_changes_nothing(registry: AgentRegistry, agents: Path) -> None:
    make(agents, {"a.py": "", "staging/b/main.py": ""})
    registry.discover_agents(agents)
    before = registry.path.read_bytes()
    found = registry.discover_agents(agents)
    assert [agent.id for agent in found.unchanged] == ["a", "b"]
    assert found.found == found.unchanged
    assert registry.path.read_bytes() == before
    assert len(registry.generations()) == 1


def test_a_dry_run_says_the_same_and_writes_nothing(registry: AgentRegistry, agents: Path) -> None:
    make(agents, {"a.py": ""})
    dry = registry.discover_agents(agents, dry_run=True)
    assert not registry.path.exists()
    assert registry.discover_agents(agents) == dry


def test_what_was_written_by_hand_stays(registry: AgentRegistry, agents: Path) -> None:
    make(agents, {"a.py": '"""From the source."""', "b/main.py": 'NAME = "B"'})
    entry = {"owner": "me", "path": str(agents / "a.py"), "name": "Mine", "status": "idle"}
    relative = {"path": "development/agents/b"}
    write(registry.path, {"agentRegistry": {"staging": {"renamed": entry}, "lab": {"b": relative}}})
    found = registry.discover_agents(agents)
    assert [agent.id for agent in found.updated] == ["renamed", "b"]
    groups = on_disk(registry)["agentRegistry"]
    assert groups["staging"]["renamed"] == {**entry, "description": "From the source."}
    assert groups["lab"]["b"] == {**relative, "name": "B"}
    assert registry.discover_agents(agents).updated == []


def test_an_agent_restored_to_another_place_is_found_again(
    registry: AgentRegistry, agents: Path
) -> None:
    """The seed's partial recovery: copied to agents/production/, then discovered."""
    make(agents, {"development/director-agent/main.py": ""})
    registry.discover_agents(agents)
    registry.update("director-agent", owner="me")
    (agents / "production").mkdir()
    (agents / "development" / "director-agent").rename(agents / "production" / "director-agent")
    (updated,) = registry.discover_agents(agents).updated
    assert (updated.group, updated.further) == ("production", {"owner": "me"})
    assert updated.path == str(agents / "production" / "director-agent")
    assert registry.discover_agents(agents).updated == []


def test_a_taken_id_is_reported_and_keeps_its_entry(registry: AgentRegistry, agents: Path) -> None:
    make(agents, {"a.py": "", "a/main.py": "", "staging/A.py": ""})
    found = registry.discover_agents(agents)
    assert len(found.added) == 1
    assert "registered already" in messages(found)["a"]
    assert len(registry.list()) == 1


def test_what_is_registered_but_gone_is_only_reported(
    registry: AgentRegistry, agents: Path
) -> None:
    make(agents, {"a.py": ""})
    write(registry.path, SEED)
    registry.add("gone", path=agents / "gone")
    registry.add("elsewhere", path=agents.parent / "elsewhere")
    found = registry.discover_agents(agents)
    assert [agent.id for agent in found.missing] == ["gone"]
    assert len(registry.list()) == 4


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("a.py", b"def (:\n", "a.py: not valid Python, line 1"),
        ("a.py", b"\0\xff\xfe" * 50, "a.py: not valid Python"),
        ("a.py", b"x = " + b"(" * 5000, "a.py: not valid Python"),
        ("a.py", b"# coding: nonsense\n", "a.py: not valid Python"),
        ("a.py", b"#" * (2 << 20), "too large"),
        ("a/agent.json", b'{"name": ', "agent.json: not valid JSON"),
        ("a/agent.json", b"[" * 100_000, "agent.json: not valid JSON"),
        ("a/package.json", b"[]", "package.json: not a JSON object"),
        ("a/pyproject.toml", b"[project", "pyproject.toml: not valid TOML"),
        ("a/pyproject.toml", b"\xff", "pyproject.toml: not valid TOML"),
    ],
)
def test_a_broken_source_is_registered_and_reported(
    registry: AgentRegistry, agents: Path, name: str, content: bytes, cause: str
) -> None:
    make(agents, {name: content})
    found = registry.discover_agents(agents)
    assert ids(found) == {"a": "production"}
    assert found.added[0].name == "A"
    assert cause in messages(found)["a"]


def test_odd_values_in_sources_do_no_harm(registry: AgentRegistry, agents: Path) -> None:
    make(
        agents,
        {
            "a.py": 'NAME = 7\nAGENT = ["x"]\nDESCRIPTION = open("x")\nx = "\\d"\n',
            "b.py": 'NAME = "\\ud800 x"\nDESCRIPTION = "l" * 9\n',
            "c.py": f'NAME = "c"\nDESCRIPTION = "{"long " * 900}"\n',
            "d/agent.json": '{"name": {"a": 1}, "description": null}',
            "d/pyproject.toml": "project = 3",
        },
    )
    found = registry.discover_agents(agents)
    told = {agent.id: (agent.name, agent.description) for agent in found.added}
    assert found.problems == []
    assert told["a"] == ("A", None)
    assert told["b"] == ("? x", None)
    assert told["d"] == ("D", None)
    assert told["c"][0] == "C"
    assert len(told["c"][1] or "") == 500


def test_links_are_not_followed(registry: AgentRegistry, agents: Path, tmp_path: Path) -> None:
    make(tmp_path / "outside", {"main.py": 'NAME = "secret"', "x.py": "", "agent.json": "{}"})
    make(agents, {"real/main.py": ""})
    try:
        (agents / "folder").symlink_to(tmp_path / "outside", target_is_directory=True)
        (agents / "file.py").symlink_to(tmp_path / "outside" / "x.py")
        (agents / "staging").symlink_to(tmp_path / "outside", target_is_directory=True)
        (agents / "real" / "agent.json").symlink_to(tmp_path / "outside" / "agent.json")
        (agents / "gone.py").symlink_to(tmp_path / "nowhere")
    except OSError:
        require(False, "the right to make symbolic links")
    found = registry.discover_agents(agents)
    assert list(ids(found)) == ["real"]
    assert [Path(problem.path or "").name for problem in found.problems] == [
        "file.py",
        "folder",
        "gone.py",
        "staging",
    ]


if sys.platform != "win32":

    def test_a_pipe_is_never_opened(registry: AgentRegistry, agents: Path) -> None:
        make(agents, {"a/main.py": ""})
        os.mkfifo(agents / "a" / "agent.json")
        os.mkfifo(agents / "b.py")
        assert list(ids(registry.discover_agents(agents))) == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no UTF-8")
def test_a_name_that_is_no_text_is_reported(registry: AgentRegistry, agents: Path) -> None:
    make(agents, {"a.py": ""})
    (agents / os.fsdecode(b"b\xff.py")).touch()
    found = registry.discover_agents(agents)
    assert list(ids(found)) == ["a"]
    assert "not UTF-8" in messages(found)["b"]


def test_a_relative_folder_is_looked_for_under_each_root(tmp_path: Path, agents: Path) -> None:
    make(agents, {"a.py": ""})
    roots = (tmp_path / "development", tmp_path / "workspace", tmp_path)
    registry = open_registry(tmp_path, search_roots=roots)
    found = registry.discover_agents("development/agents")
    assert (found.directory, list(ids(found))) == (str(agents), ["a"])
    with pytest.raises(NotFoundError) as caught:
        registry.discover_agents("no/such")
    for root in roots:
        assert str(root / "no" / "such") in caught.value.message


def test_discovery_in_a_group_folder_takes_its_group(registry: AgentRegistry, agents: Path) -> None:
    make(agents, {"staging/a.py": ""})
    assert ids(registry.discover_agents(agents / "staging")) == {"a": "staging"}
