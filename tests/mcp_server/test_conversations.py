"""Whole conversations with the real server over its standard input and output."""

import json
import sys
from typing import Any

import pytest

from holdfast.facade import Workspace
from tests.mcp_server.conftest import Session, Talk

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])


@ERAS
def test_what_is_offered(talk: Talk, mode: str) -> None:
    async def look(session: Session) -> Any:
        client = session.client
        return (
            client.protocol_version,
            (await client.list_tools()).tools,
            (await client.list_resources()).resources,
            (await client.list_resource_templates()).resource_templates,
            (await client.list_prompts()).prompts,
        )

    version, tools, resources, templates, prompts = talk(look, mode)
    assert version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
    hints = {each.name: each.annotations for each in tools}
    assert len(hints) == len(tools) > 30
    assert all(each.description and each.input_schema["type"] == "object" for each in tools)
    destructive = {name for name, each in hints.items() if each.destructive_hint}
    assert destructive == {"restore", "undo", "queue_ack"}
    assert hints["status"].read_only_hint
    assert hints["plan_restore"].read_only_hint
    assert not hints["backup_create"].read_only_hint
    addresses = {str(each.uri) for each in resources}
    assert addresses == {f"holdfast://{k}" for k in ("agents", "servers", "runs", "snapshots")}
    assert "holdfast://runs/{run}" in {each.uri_template for each in templates}
    assert [each.name for each in prompts] == ["what-happened-last-night", "bring-back-what-i-lost"]


@ERAS
def test_what_was_lost_comes_back(talk: Talk, workspace: Workspace, mode: str) -> None:
    """A snapshot, a loss, the search, aside, in place, undone, in both eras."""
    root = workspace.layout.root
    agent = root / "agents/director-agent.py"
    before = agent.read_bytes()

    async def conversation(session: Session) -> None:
        taken = (await session.call("backup_create", tags=["before"])).data
        assert taken["healthy"], taken
        agent.unlink()
        found = (await session.call("backup_find", pattern="director-*.py")).data["versions"]
        assert [each["path"] for each in found] == ["agents/director-agent.py"]
        wish = {"snapshot": found[0]["newest"], "paths": [found[0]["path"]]}

        aside = (await session.call("restore", **wish)).data
        copy = root / "restored" / found[0]["newest"][:12] / "agents/director-agent.py"
        assert copy.read_bytes() == before
        assert not agent.exists()
        plan = aside["inPlace"]
        assert [each["path"] for each in plan["plan"]["plan"]] == ["agents/director-agent.py"]

        agent.write_text("another one\n", encoding="utf-8")  # the plan is not what it was
        refused = await session.call("restore", **wish, confirm=plan["confirm"])
        assert "RefusedError" in refused.error
        assert "plan_restore" in refused.error
        assert agent.read_text(encoding="utf-8") == "another one\n"

        planned = (await session.call("plan_restore", **wish)).data
        assert planned["plan"]["plan"][0]["newer"]
        done = (await session.call("restore", **wish, confirm=planned["confirm"])).data
        assert done["healthy"], done
        assert agent.read_bytes() == before

        points = (await session.call("undo_list")).data["points"]
        assert points[0]["command"].startswith("mcp restore")
        unconfirmed = (await session.call("undo", point=points[0]["id"])).data
        assert not unconfirmed["done"]
        assert agent.read_bytes() == before
        wrong = await session.call("undo", point=points[0]["id"], confirm="yes")
        assert "RefusedError" in wrong.error
        undone = await session.call("undo", point=points[0]["id"], confirm=unconfirmed["confirm"])
        assert undone.data["healthy"], undone
        assert agent.read_text(encoding="utf-8") == "another one\n"

    talk(conversation, mode)


def test_an_agent_comes_back_with_its_entry(talk: Talk, workspace: Workspace) -> None:
    workspace.registry.discover_agents(workspace.layout.agents)
    agents = {each.id for each in workspace.registry.list()}

    async def conversation(session: Session) -> None:
        await session.call("backup_create")
        workspace.registry.remove("surveyor-agent")
        (workspace.layout.agents / "surveyor-agent.py").unlink()
        plan = (await session.call("plan_restore", agent="surveyor-agent")).data
        assert plan["plan"]["entry"] == "added"
        done = await session.call("restore", agent="surveyor-agent", confirm=plan["confirm"])
        assert done.data["healthy"], done
        listed = (await session.call("agents_list")).data["agents"]
        assert {each["id"] for each in listed} == agents
        shown = (await session.call("agents_show", agent="surveyor-agent")).data
        assert shown["path"].endswith("surveyor-agent.py")

    talk(conversation)


def test_queues_and_events(talk: Talk) -> None:
    async def conversation(session: Session) -> None:
        for number in range(3):
            await session.call("queue_put", queue="jobs", body={"n": number}, priority=-number)
        listed = (await session.call("queues_list")).data["queues"]
        assert [(each["queue"], each["ready"]) for each in listed] == [("jobs", 3)]
        assert len((await session.call("queue_peek", queue="jobs")).data["messages"]) == 3
        taken = (await session.call("queue_take", queue="jobs", limit=2)).data["messages"]
        assert [each["body"] for each in taken] == [{"n": 0}, {"n": 1}]
        await session.call("queue_ack", queue="jobs", receipt=taken[0]["receipt"])
        stale = await session.call("queue_ack", queue="jobs", receipt=taken[0]["receipt"])
        assert "ConflictError" in stale.error
        await session.call("queue_nack", queue="jobs", receipt=taken[1]["receipt"], reason="later")
        unknown = await session.call("queue_take", queue="jbos")
        assert "NotFoundError" in unknown.error
        assert "hint:" in unknown.error
        assert (await session.call("queue_dead", queue="jobs")).data["messages"] == []
        assert (await session.call("queue_requeue", queue="jobs")).data["requeued"] == 0

        for amount in (5, 7):
            done = await session.call(
                "event_append", stream="account-7", type="deposited", data={"amount": amount}
            )
        assert done.data["version"] == 2
        late = await session.call("event_append", stream="account-7", type="x", expect=1)
        assert "ConflictError" in late.error
        page = (await session.call("events_read", stream="account-7", limit=1)).data
        assert (page["events"][0]["data"], page["next"]) == ({"amount": 5}, 2)
        newest = (await session.call("events_read", newest=True, limit=1)).data["events"]
        assert newest[0]["data"] == {"amount": 7}
        streams = (await session.call("events_streams", prefix="acc")).data["streams"]
        assert streams == [{"stream": "account-7", "version": 2}]

    talk(conversation)


def test_a_workflow_is_started_fails_and_is_resumed(talk: Talk, workspace: Workspace) -> None:
    root = workspace.layout.root
    program = "import json, pathlib, sys; print(json.load(sys.stdin)['input']); {}"
    tasks = {
        "note": {"command": [sys.executable, "-c", program.format("open('done', 'a').write('x')")]},
        "check": {
            "command": [
                sys.executable,
                "-c",
                program.format("sys.exit(not pathlib.Path('ok').exists())"),
            ],
            "needs": ["note"],
        },
    }
    workspace.layout.workflows.mkdir(exist_ok=True)
    declared = workspace.layout.workflows / "night.json"
    declared.write_text(json.dumps({"tasks": tasks}), encoding="utf-8")

    async def conversation(session: Session) -> None:
        assert (await session.call("workflows_list")).data["workflows"] == ["inventory", "night"]
        started = (
            await session.call("workflow_start", workflow="night", input="bees", run="n-1", wait=50)
        ).data
        assert started["status"] == "failed", started
        runs = (await session.call("runs_list", status="failed")).data["runs"]
        assert [each["id"] for each in runs] == ["n-1"]
        shown = (await session.call("runs_show", run="n-1")).data
        assert [each["id"] for each in shown["steps"]] == ["note", "check"]
        (root / "ok").touch()
        resumed = (await session.call("workflow_resume", run="n-1", wait=50)).data
        assert resumed["status"] == "succeeded", resumed
        again = await session.call("workflow_start", workflow="night", input="wasps", run="n-1")
        assert "Error" in again.error
        story = (await session.call("logs_search", task="n-1", component=[])).data["lines"]
        assert "Run succeeded" in [each["message"] for each in story]

    talk(conversation)
    assert (root / "done").read_text(encoding="utf-8") == "x"  # the finished step was not repeated


def test_status_usage_resources_and_prompts(talk: Talk, workspace: Workspace) -> None:
    workspace.registry.discover_agents(workspace.layout.agents)
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    workspace.servers.add("hub", command="hub", env={"GITHUB_TOKEN": secret, "MODE": "fast"})

    async def conversation(session: Session) -> None:
        status = (await session.call("status")).data
        assert {each["name"] for each in status["stores"]} >= {"agents", "queues", "backups"}
        usage = (await session.call("usage", folder="agents")).data
        assert usage["total"]["files"] >= 2
        found = (await session.call("verify_configuration", what="servers")).data
        assert found["wrong"] >= 1
        hub = (await session.call("servers_show", server="hub")).data
        assert hub["settings"]["env"]["MODE"] == "fast"
        client = session.client
        for address in ("holdfast://servers", "holdfast://servers/hub"):
            text = (await client.read_resource(address)).contents[0].text
            assert secret not in text
            assert "hub" in text
        agents = json.loads((await client.read_resource("holdfast://agents")).contents[0].text)
        assert "director-agent" in [each["id"] for each in agents["agents"]]
        asked = await client.get_prompt("bring-back-what-i-lost", {"what": 'a "b"\nc'})
        assert "I lost this: \"a 'b' c\"." in asked.messages[0].content.text
        told = await client.get_prompt("what-happened-last-night", {})
        assert "yesterday" in told.messages[0].content.text
        for name in ("servers_list", "servers_show"):
            arguments = {"server": "hub"} if name == "servers_show" else {}
            assert secret not in str((await session.call(name, **arguments)).data)

    talk(conversation)
    log = (workspace.layout.logs / "mcp.log").read_text(encoding="utf-8")
    assert secret not in log
    assert '"tool":"status"' in log
