"""Declared tasks that call a tool of a real MCP server, over the official client."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.durable.documents import write_document
from holdfast.errors import NotFoundError, StepError, UsageError
from holdfast.facade import open_workspace
from holdfast.workflows import Workflows
from holdfast.workflows.declarations import Declaration, read_declaration
from holdfast.workflows.mcp_tools import read_server, server_names
from holdfast.workflows.references import UnknownReferenceError, resolved
from holdfast.workflows.tasks import run_declared
from holdfast.workspace.creation import create
from tests.conftest import Runner

SERVER = Path(__file__).with_name("mcp_server_child.py")


@pytest.fixture
def engine() -> Iterator[Workflows]:
    with Workflows() as opened:
        yield opened


def declared(folder: Path, tasks: dict[str, Any], **entry: Any) -> Declaration:
    registry = folder / "mcp-registry.json"
    notes = {"command": sys.executable, "args": [str(SERVER)], **entry}
    write_document(registry, {"mcpRegistry": {"utilities": {"notes": notes}}})
    path = folder / "report.json"
    write_document(path, {"tasks": tasks})

    def no_agent(agent_id: str) -> list[str]:
        raise NotFoundError(agent_id)

    return read_declaration(path, folder, no_agent, lambda _: registry)


def tool(name: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"mcp": {"server": "notes", "tool": name, "arguments": arguments}, **more}


def test_a_tool_is_called_with_what_other_tasks_gave(engine: Workflows, tmp_path: Path) -> None:
    declaration = declared(
        tmp_path,
        {
            "loud": tool("shout", {"text": "${input.topic}"}),
            "keep": tool(
                "add_note",
                {"text": "${needs.loud}, ${input.topic}; ", "times": "${input.times}"},
                needs=["loud"],
            ),
        },
        env={"AUTHOR": "${WHO:-Ann}"},
    )
    given = {"topic": "bees", "times": 2}
    result = engine.run(run_declared, (declaration, given), run_id="workflow-123")
    assert result == {"loud": "BEES", "keep": {"kept": "BEES, bees; " * 2, "by": "Ann"}}
    assert (tmp_path / "called").read_text(encoding="utf-8") == "workflow-123:keep\n"
    assert "AUTHOR" not in json.dumps(engine.get("workflow-123").input)


def test_a_tool_that_fails_is_told_whole_and_tried_again(engine: Workflows, tmp_path: Path) -> None:
    declaration = declared(
        tmp_path, {"risky": tool("fail", {"until": "mended"}, retries=1, backoff=0.0)}
    )
    with pytest.raises(StepError, match="after 2 attempts") as failed:
        engine.run(run_declared, (declaration, None), run_id="run-1")
    assert "not yet" in str(failed.value)
    assert "a word on standard error" in str(failed.value)
    (tmp_path / "mended").touch()
    assert engine.retry("run-1").result() == {"risky": "done"}


def test_a_tool_that_does_not_answer_is_ended(engine: Workflows, tmp_path: Path) -> None:
    declaration = declared(tmp_path, {"slow": tool("hang", {}, timeout=3)})
    with pytest.raises(StepError, match="no answer within 3 s"):
        engine.run(run_declared, (declaration, None))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"command": "no-such-program-anywhere"}, "no-such-program-anywhere"),
        ({"args": ["-c", "raise SystemExit('no database')"]}, "no database"),
        ({"env": {"TOKEN": "${NOWHERE_SET}"}}, "environment variable NOWHERE_SET"),
        ({"url": "http://127.0.0.1:9/mcp"}, "either a command or a url"),
        ({"args": 7}, "Expected `array`"),
    ],
)
def test_a_server_that_cannot_be_started_says_why(
    engine: Workflows, tmp_path: Path, entry: dict[str, Any], message: str
) -> None:
    declaration = declared(tmp_path, {"one": tool("shout", {"text": "x"})}, **entry)
    with pytest.raises(StepError) as failed:
        engine.run(run_declared, (declaration, None))
    assert message in str(failed.value)


def test_an_unknown_tool_is_a_failure(engine: Workflows, tmp_path: Path) -> None:
    declaration = declared(tmp_path, {"one": tool("no_such_tool", {})})
    with pytest.raises(StepError, match="no_such_tool"):
        engine.run(run_declared, (declaration, None))


def test_a_reference_to_what_is_not_needed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not need"):
        declared(
            tmp_path,
            {"a": tool("shout", {"text": "x"}), "b": tool("shout", {"text": "${needs.a}"})},
        )


def test_references() -> None:
    values = {"input": {"n": [1, {"x": None}]}, "needs": {"a": "text"}}
    assert resolved("${input.n.0}", values) == 1
    assert resolved(["${input.n.1}", "a ${needs.a}b${input.n}"], values) == [
        {"x": None},
        'a textb[1,{"x":null}]',
    ]
    assert resolved({"k": "$${input} $5"}, values) == {"k": "${input} $5"}
    assert resolved(7, values) == 7
    for path in ("input.n.9", "input.n.x", "needs.b", "input.n.0.y", ""):
        with pytest.raises(UnknownReferenceError):
            resolved(f"${{{path}}}", values)


def test_servers_of_every_file(tmp_path: Path) -> None:
    assert server_names(tmp_path / "missing.json") == set()
    path = tmp_path / "mcp.json"
    write_document(path, {"mcpServers": {"a": {"command": "x", "disabled": True}}, "other": 1})
    assert read_server(path, "a").command == "x"
    with pytest.raises(NotFoundError):
        read_server(path, "b")


def test_a_workspace_finds_the_server_and_the_command_runs_it(
    tmp_path: Path, holdfast: Runner
) -> None:
    root = tmp_path / "development"
    create(root)
    with open_workspace(root) as workspace:
        layout = workspace.layout
        layout.workflows.mkdir(exist_ok=True)
        notes = {"command": sys.executable, "args": [str(SERVER)]}
        write_document(layout.home / ".mcp.json", {"mcpServers": {"notes": notes}})
        task = tool("shout", {"text": "${input}"})
        write_document(layout.workflows / "loud.json", {"tasks": {"loud": task}})
        wrong = {"mcp": {"server": "nobody", "tool": "x"}}
        write_document(layout.workflows / "wrong.json", {"tasks": {"one": wrong}})
    ran = holdfast("workflows", "run", "loud", "--input", '"hi"', "--json", cwd=root)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["result"] == {"loud": "HI"}
    refused = holdfast("workflows", "run", "wrong", cwd=root)
    assert refused.returncode != 0
    assert "known: notes" in refused.stderr
