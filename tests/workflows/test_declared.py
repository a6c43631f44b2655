"""Workflows declared in JSON: real programs, what they get, and what is refused."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.durable.documents import encode, write_document
from holdfast.errors import NotFoundError, StepError, UnreadableError, UsageError
from holdfast.workflows import Workflows
from holdfast.workflows.declarations import Declaration, given_to, order_of, read_declaration
from holdfast.workflows.schema import workflow_schema
from holdfast.workflows.tasks import run_declared
from tests.conftest import Runner

PUBLISHED = Path(__file__).parents[2] / "docs" / "schemas" / "workflow.schema.json"

PROGRAM = """
import json, os, sys
from pathlib import Path
said = json.load(sys.stdin)
name, *how = sys.argv[1:]
with Path("ran").open("a") as ledger:
    ledger.write(os.environ["HOLDFAST_TASK_ID"] + "\\n")
if "fail" in how and not Path("mended").exists():
    sys.exit(f"{name} is broken")
if "hang" in how:
    import time; time.sleep(60)
if "text" in how:
    print("just text ✓".encode().decode("utf-8"), end="")
else:
    print(json.dumps({"name": name, **said}))
"""


@pytest.fixture
def engine() -> Iterator[Workflows]:
    with Workflows() as opened:
        yield opened


def no_agent(agent_id: str) -> list[str]:
    raise NotFoundError(f"there is no agent {agent_id!r}")


def no_server(name: str) -> Path:
    raise NotFoundError(f"there is no MCP server {name!r}")


def declared(folder: Path, **tasks: Any) -> Declaration:
    (folder / "task.py").write_text(PROGRAM, encoding="utf-8")
    path = folder / "report.json"
    for name, task in tasks.items():
        if "how" in task:
            task["command"] = [sys.executable, "-X", "utf8", "task.py", name, *task.pop("how")]
    write_document(path, {"tasks": tasks})
    return read_declaration(path, folder, no_agent, no_server)


def ran(folder: Path) -> list[str]:
    return (folder / "ran").read_text(encoding="utf-8").split()


def test_tasks_get_the_output_of_what_they_need(engine: Workflows, tmp_path: Path) -> None:
    declaration = declared(
        tmp_path,
        publish={"how": [], "needs": ["left", "right"]},
        left={"how": ["text"], "needs": ["begin"]},
        right={"how": [], "needs": ["begin"]},
        begin={"how": []},
    )
    workflow = run_declared.known_as(declaration.name)
    result = engine.run(workflow, (declaration, {"topic": "bees"}), run_id="workflow-123")
    assert result["left"] == "just text ✓"
    assert result["begin"] == {"name": "begin", "input": {"topic": "bees"}, "needs": {}}
    assert set(result["publish"]["needs"]) == {"left", "right"}
    assert sorted(ran(tmp_path)) == [
        f"workflow-123:{name}" for name in ("begin", "left", "publish", "right")
    ]
    assert [s.id for s in engine.steps("workflow-123")] == ["begin", "left", "right", "publish"]


def test_the_input_that_is_shown_is_the_one_given(engine: Workflows, tmp_path: Path) -> None:
    declaration = declared(tmp_path, begin={"how": []})
    engine.run(run_declared, (declaration, {"topic": "bees"}), run_id="by-place")
    engine.run(run_declared, (declaration,), {"input": "wasps"}, run_id="by-name")
    assert given_to(engine.get("by-place")) == {"topic": "bees"}
    assert given_to(engine.get("by-name")) == "wasps"


def test_a_failure_stops_what_comes_after_and_is_retried_from_there(
    engine: Workflows, tmp_path: Path
) -> None:
    declaration = declared(
        tmp_path,
        first={"how": []},
        second={"how": ["fail"], "needs": ["first"], "retries": 1, "backoff": 0.01},
        third={"how": [], "needs": ["second"]},
    )
    with pytest.raises(StepError, match="ended with status 1:\nsecond is broken"):
        engine.run(run_declared.known_as("three"), (declaration, None), run_id="r")
    assert ran(tmp_path) == ["r:first", "r:second", "r:second"]
    (tmp_path / "mended").touch()
    assert set(engine.retry("r").result(30)) == {"first", "second", "third"}
    assert ran(tmp_path)[3:] == ["r:second", "r:third"]
    forked = engine.fork("r", from_step="third")
    assert set(forked.result(30)) == {"first", "second", "third"}
    assert [run.id for run in engine.list(name="three")] == [forked.id, "r"]


def test_a_program_that_hangs_is_ended(engine: Workflows, tmp_path: Path) -> None:
    declaration = declared(tmp_path, slow={"how": ["hang"], "timeout": 1.5})
    with pytest.raises(StepError, match=r"ended after 1\.5 s"):
        engine.run(run_declared, (declaration, None))


def test_a_program_that_is_not_there_says_so(engine: Workflows, tmp_path: Path) -> None:
    declaration = declared(tmp_path, x={"command": ["no-such-program-here"]})
    with pytest.raises(StepError, match="no-such-program-here cannot be run"):
        engine.run(run_declared, (declaration, None))


@pytest.mark.parametrize(
    ("task", "error", "says"),
    [
        ({"command": ["x"], "needs": ["y"]}, UsageError, "needs 'y', which is no task"),
        ({"command": ["x"], "needs": ["a"]}, UsageError, "in a circle: a needs a"),
        ({"command": ["x"], "agent": "y"}, UsageError, "one of command, agent and mcp"),
        ({}, UsageError, "one of command, agent and mcp"),
        ({"command": []}, UsageError, "is empty"),
        ({"agent": "nobody"}, UsageError, "no agent 'nobody'"),
        ({"command": "x"}, UnreadableError, r"line 4, .*Expected `array \| null`"),
        ({"command": ["x"], "retry": 1}, UnreadableError, "unknown field `retry`"),
        ({"command": ["x"], "timeout": 0}, UnreadableError, "> 0"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_place(
    tmp_path: Path, task: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        declared(tmp_path, a=task)
    assert "report.json" in str(caught.value)


def test_the_order_is_always_the_same(tmp_path: Path) -> None:
    orders = set()
    for names in ("dbca", "abcd", "cdab"):
        tasks: dict[str, dict[str, Any]] = {name: {"command": ["x"]} for name in names}
        tasks["a"]["needs"] = ["d", "c"] if names == "abcd" else ["c", "d"]
        orders.add(tuple(order_of(declared(tmp_path, **tasks))))
    (order,) = orders
    assert order.index("a") > max(order.index("c"), order.index("d"))


def test_the_published_schema_is_current() -> None:
    current = encode(workflow_schema()).decode()
    published = PUBLISHED.read_text(encoding="utf-8")
    assert published == current, f"run: python -m holdfast.workflows.schema > {PUBLISHED}"


def test_a_workspace_runs_it_by_name(holdfast: Runner, tmp_path: Path) -> None:
    assert holdfast("init", "dev", "--examples").returncode == 0
    place = tmp_path / "dev"
    agent = 'import json, sys\nprint(json.dumps(json.load(sys.stdin)["input"]))\n'
    (place / "agents" / "echo-agent.py").write_text(agent, encoding="utf-8")
    assert holdfast("agents", "discover", cwd=place).returncode == 0
    (place / "configs" / "workflows").mkdir(exist_ok=True)
    path = place / "configs" / "workflows" / "daily.json"
    write_document(path, {"tasks": {"echo": {"agent": "echo-agent"}}})
    done = holdfast(
        "workflows", "run", "daily", "--input", '{"topic": "bees"}', "--json", cwd=place
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["name"], run["result"]) == ("daily", {"echo": {"topic": "bees"}})
    shown = holdfast("workflows", "show", run["id"], cwd=place).stdout
    assert '  input     {"topic":"bees"}\n' in shown
    assert "known: daily" in holdfast("workflows", "run", "weekly", cwd=place).stderr
