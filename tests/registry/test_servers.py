"""The server registry: what it takes, what it refuses, what it gives back."""

import json
from pathlib import Path

import jsonschema
import pytest

from holdfast.durable.documents import encode
from holdfast.errors import ConflictError, NotFoundError, UnreadableError, UsageError
from holdfast.registry import ServerRegistry
from holdfast.registry.schema import server_registry_schema

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "server-registry.schema.json"


@pytest.fixture
def registry(tmp_path: Path) -> ServerRegistry:
    return ServerRegistry(
        tmp_path / "configs" / "mcp-registry.json",
        generations=tmp_path / "generations",
        locks=tmp_path / "locks",
        durability="process",
    )


def test_a_server_is_written_as_a_client_writes_it(registry: ServerRegistry) -> None:
    registry.add("u-1", command="python", args=["-m", "u"], env={"TOKEN": "${TOKEN}"}, timeout=9)
    registry.add("t", url="http://127.0.0.1/mcp", clients=["code"], status="inactive")
    document = json.loads(registry.path.read_bytes())
    assert document["mcpRegistry"]["production"]["u-1"] == {
        "type": "stdio",
        "command": "python",
        "args": ["-m", "u"],
        "env": {"TOKEN": "${TOKEN}"},
        "timeout": 9,
    }
    first, second = registry.list()
    assert first.is_for("code")
    assert first.is_for("desktop")
    assert second.type == "http"
    assert not second.is_for("code"), "it is inactive"
    assert registry.update("t", status=None).is_for("code")
    assert not registry.get("t").is_for("desktop")
    jsonschema.validate(json.loads(registry.path.read_bytes()), server_registry_schema())


def test_how_it_is_kept_running_is_no_clients_business(registry: ServerRegistry) -> None:
    service = {"command": ["python", "u.py"], "ready": {"port": 8000}}
    registry.add("u", url="http://127.0.0.1:8000/mcp", service=service)
    server = registry.get("u")
    assert server.service == service
    assert server.settings == {"type": "http", "url": "http://127.0.0.1:8000/mcp"}
    jsonschema.validate(json.loads(registry.path.read_bytes()), server_registry_schema())
    moved = {"type": "http", "url": "http://127.0.0.1:9000/mcp"}
    registry.add_many({"u": moved}, replace=True)  # as an import does
    assert (registry.get("u").settings, registry.get("u").service) == (moved, service)
    wrong: object
    for wrong in ({"ready": {"port": "x"}}, {"command": []}, "yes"):
        with pytest.raises(UsageError):
            registry.update("u", service=wrong)


def test_the_published_schema_is_the_present_one() -> None:
    assert SCHEMA.read_bytes() == encode(server_registry_schema())


@pytest.mark.parametrize("name", ["", "a b", "a.b", "workspace", "Workspace", "ä", "a/b", "x" * 65])
def test_names_that_clients_refuse(registry: ServerRegistry, name: str) -> None:
    with pytest.raises(UsageError):
        registry.add(name, command="x")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"type": "http"},
        {"type": "stdio", "url": "http://x"},
        {"type": "carrier-pigeon", "command": "x"},
        {"command": "x", "args": "-m x"},
        {"command": "x", "env": {"A": 1}},
        {"command": "x", "clients": ["emacs"]},
        {"command": "x", "more": float("nan")},
    ],
)
def test_what_no_client_could_use(registry: ServerRegistry, settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        registry.add("x", **settings)  # type: ignore[arg-type]
    assert not registry.path.exists()


def test_names_are_taken_once_whatever_their_case(registry: ServerRegistry) -> None:
    registry.add("Tool", command="x")
    with pytest.raises(ConflictError):
        registry.add("tool", command="y")
    with pytest.raises(NotFoundError, match="Tool"):
        registry.get("Tol")


def test_removal_and_undo(registry: ServerRegistry) -> None:
    registry.add("a", command="x")
    registry.update("a", group="staging", description="An example.")
    assert registry.remove("a").group == "staging"
    assert registry.list() == []
    registry.undo()
    assert registry.get("a").description == "An example."
    assert [len(registry.servers_in(each)) for each in registry.generations()] == [1, 1, 0, 1]


def test_several_at_once_are_one_generation(registry: ServerRegistry) -> None:
    registry.add_many({"a": {"command": "x"}, "b": {"command": "y"}})
    with pytest.raises(ConflictError):
        registry.add_many({"c": {"command": "x"}, "a": {"command": "z"}})
    assert [server.id for server in registry.list()] == ["a", "b"]
    registry.add_many({"a": {"command": "z"}}, replace=True)
    assert registry.get("a").settings["command"] == "z"
    assert len(registry.generations()) == 2


def test_a_wrong_type_is_named_with_its_line(registry: ServerRegistry) -> None:
    registry.path.parent.mkdir(parents=True)
    registry.path.write_text('{"mcpRegistry": {"production": {\n"a": {"args": "x"}}}}', "utf-8")
    with pytest.raises(UnreadableError, match="args") as caught:
        registry.list()
    assert caught.value.line == 2
