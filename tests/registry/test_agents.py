import json
import os
from pathlib import Path

import pytest

from holdfast.durable.faults import armed
from holdfast.errors import ConflictError, NotFoundError, StorageError, UsageError
from holdfast.registry import AgentRegistry
from tests.registry.conftest import SEED, on_disk, open_registry, write


def test_a_registry_that_never_was_is_empty_and_gets_the_seeds_shape(
    registry: AgentRegistry, tmp_path: Path
) -> None:
    assert registry.list() == []
    assert not registry.path.exists()
    registry.add("director-agent", path=tmp_path / "director-agent.py")
    assert on_disk(registry) == {
        "agentRegistry": {
            "production": {
                "director-agent": {
                    "name": "Director Agent",
                    "path": str(tmp_path / "director-agent.py"),
                    "status": "active",
                }
            },
            "staging": {},
            "development": {},
        }
    }


def test_the_seeds_file_is_read_as_it_is(registry: AgentRegistry) -> None:
    write(registry.path, SEED)
    agent = registry.get("agent-id")
    assert (agent.group, agent.name, agent.status) == ("production", "Agent Name", "active")
    assert agent.path == "C:\\path\\to\\agent"
    assert registry.list("production") == [agent]


def test_unknown_keys_and_the_order_of_all_keys_survive_every_write(
    registry: AgentRegistry, tmp_path: Path
) -> None:
    data = {
        "$schema": "x",
        "zeta": [1, {"b": 1, "a": 123456789012345678901234567890}],
        "agentRegistry": {
            "experimental": {"b": {"zzz": None, "path": "/b", "owner": {"y": 1, "x": 2.5}}},
            "production": {"a": {"status": "odd", "name": "Ä ☃", "path": "/a"}},
        },
        "formatVersion": 1,
        "alpha": "\u2028",
    }
    write(registry.path, data)
    registry.add("c", path="/c", tags=["night"])
    registry.update("b", status="idle", owner={"y": 2})
    registry.update("a", group="experimental")
    registry.update("a", group="production")
    registry.remove("c")
    entry = data["agentRegistry"]["experimental"]["b"]  # type: ignore[index]
    entry.update(owner={"y": 2}, status="idle")
    assert json.dumps(on_disk(registry)) == json.dumps(data)


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(registry: AgentRegistry) -> None:
    text = json.dumps(SEED, indent=2).replace("\n", "\r\n")
    registry.path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    registry.add("b", path="/b")
    assert [agent.id for agent in registry.list()] == ["agent-id", "b"]


def test_an_id_is_taken_in_every_group_and_in_every_case(registry: AgentRegistry) -> None:
    registry.add("scout", path="/s", group="staging")
    for taken in ("scout", "Scout"):
        with pytest.raises(ConflictError, match="'scout' is registered already, in staging"):
            registry.add(taken, path="/t")


@pytest.mark.parametrize("bad", ["", "../up", "a b", "nul", "-x", "ä", "a/b", "x" * 129])
def test_a_new_id_must_be_a_file_name_everywhere(registry: AgentRegistry, bad: str) -> None:
    with pytest.raises(UsageError):
        registry.add(bad, path="/s")
    assert not registry.path.exists()


@pytest.mark.parametrize(
    "bad",
    [
        {"path": ""},
        {"path": "a\0b"},
        {"name": ""},
        {"status": 3},
        {"group": "elsewhere"},
        {"weight": float("nan")},
        {"owner": object()},
        {"owner": "\ud800"},
    ],
)
def test_bad_values_are_refused_and_nothing_is_written(
    registry: AgentRegistry, bad: dict[str, object]
) -> None:
    registry.add("a", path="/a")
    before = registry.path.read_bytes()
    with pytest.raises(UsageError):
        registry.add("b", **{"path": "/b", **bad})  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        registry.update("a", **bad)
    assert registry.path.read_bytes() == before
    assert len(registry.generations()) == 1


def test_an_unknown_agent_is_an_error_that_names_similar_ones(registry: AgentRegistry) -> None:
    registry.add("director-agent", path="/d")
    for call in (registry.get, registry.remove, registry.update):
        with pytest.raises(NotFoundError, match="did you mean director-agent"):
            call("directer-agent")
    with pytest.raises(NotFoundError, match="production, staging, development"):
        registry.list("nowhere")


def test_none_removes_a_key_and_group_moves(registry: AgentRegistry) -> None:
    registry.add("a", path="/a", owner="x", description="d")
    agent = registry.update("a", owner=None, description=None, group="development", tags=[1])
    assert (agent.group, agent.description, agent.further) == ("development", None, {"tags": [1]})
    assert registry.get("a") == agent
    assert registry.remove("a") == agent
    assert registry.list() == []


def test_an_id_in_two_groups_is_read_but_never_guessed_at(registry: AgentRegistry) -> None:
    write(registry.path, {"agentRegistry": {"staging": {"a": {}}, "production": {"a": {}}}})
    assert registry.get("a").group == "staging"
    with pytest.raises(ConflictError, match="staging and production"):
        registry.remove("a")


def test_a_relative_path_is_stored_absolute_from_where_it_exists(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    (second / "agents").mkdir(parents=True)
    registry = open_registry(tmp_path, search_roots=(first, second))
    (second / "agents" / "a.py").touch()
    assert registry.add("a", path="agents/a.py").path == str(second / "agents" / "a.py")
    assert registry.add("b", path="agents/b.py").path == str(first / "agents" / "b.py")
    assert registry.add("c", path="D:\\c").path == "D:\\c"


def test_a_change_by_another_program_is_seen_at_once(registry: AgentRegistry) -> None:
    registry.add("a", path="/a")
    text = registry.path.read_text(encoding="utf-8")
    for status in ("activE", "aCtive", "active"):  # of one size, within one tick of the clock
        registry.path.write_text(text.replace("active", status), encoding="utf-8", newline="\n")
        assert registry.get("a").status == status


def test_an_unchanged_file_is_read_once(registry: AgentRegistry) -> None:
    registry.add("a", path="/a")
    os.utime(registry.path, (1, 1))
    assert registry.get("a") is registry.get("a")
    registry.list().clear()
    assert len(registry.list()) == 1


def test_a_change_that_changes_nothing_writes_nothing(registry: AgentRegistry) -> None:
    registry.add("a", path="/a")
    before = registry.path.stat()
    registry.update("a", status="active")
    assert registry.path.stat().st_mtime_ns == before.st_mtime_ns
    assert len(registry.generations()) == 1


@pytest.mark.parametrize("error", ["ENOSPC", "EROFS", "EACCES"])
@pytest.mark.parametrize("visit", [1, 2])
def test_a_disk_that_refuses_leaves_the_registry_as_it_was(
    registry: AgentRegistry, error: str, visit: int
) -> None:
    registry.add("a", path="/a")
    before = registry.path.read_bytes()
    with (
        armed(f"files.temporary.written=error:{error}@{visit}"),
        pytest.raises(StorageError, match="cannot write the file"),
    ):
        registry.add("b", path="/b")
    assert registry.path.read_bytes() == before
    assert len(registry.generations()) == 1
    registry.add("b", path="/b")
    assert [agent.id for agent in registry.list()] == ["a", "b"]


def test_validate_names_every_problem(registry: AgentRegistry, tmp_path: Path) -> None:
    here = str(tmp_path)
    foreign = "/srv/agent" if os.name == "nt" else "C:\\agent"
    groups = {
        "production": {
            "fine": {"path": here + "/registry-folder"},
            "gone": {"path": here + "/gone"},
            "none": {},
            "one": {"path": here + "/shared"},
            "two": {"path": "shared"},
            "my agent": {"path": here},
            "nul-path": {"path": "a\0b"},
            "foreign": {"path": foreign},
        },
        "staging": {"Gone": {"path": here + "/shared/.."}, "none": {}},
    }
    (tmp_path / "registry-folder").mkdir()
    (tmp_path / "shared").mkdir()
    write(registry.path, {"agentRegistry": groups})
    found = [(problem.id, problem.message.split(" of ")[0]) for problem in registry.validate()]
    assert found == [
        ("gone", "its id differs from 'Gone' in staging only in case"),
        ("gone", "its path does not exist"),
        ("none", "it stands in staging too"),
        ("none", "it has no path"),
        ("one", "its path is that"),
        ("two", "its path is that"),
        ("my agent", "'my agent' cannot be a registry id"),
        ("my agent", "its path is that"),
        ("nul-path", "its path contains a NUL character"),
        ("foreign", "its path is one"),
        ("Gone", "its id differs from 'gone' in production only in case"),
        ("Gone", "its path is that"),
        ("none", "it stands in production too"),
        ("none", "it has no path"),
    ]
