"""Wrong, huge and hostile calls: each is told what is wrong, and nothing is done or let out."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from holdfast.facade import Workspace
from holdfast.mcp_server.answers import LARGEST, answer_of, fitting, masked_text
from tests.conftest import child_environment
from tests.mcp_server.conftest import Session, Talk

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
ESCAPES = ["../secret.txt", "/etc/passwd", "agents/../../secret.txt", "..\\secret.txt", "a\0b"]
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("runs_list", {"limit": 0}),
    ("runs_list", {"limit": 10**9}),
    ("runs_list", {"limit": "many"}),
    ("runs_list", {"status": "lost"}),
    ("runs_list", {"since": "the day before"}),
    ("runs_list", {"unknown": 1}),
    ("runs_show", {"run": "../../x"}),
    ("runs_show", {"run": "x; rm -rf /"}),
    ("runs_show", {}),
    ("workflow_start", {"workflow": "--help"}),
    ("workflow_start", {"workflow": "../../x"}),
    ("workflow_resume", {"run": "-w"}),
    ("queue_put", {"queue": "../jobs", "body": 1}),
    ("queue_put", {"queue": "a b\n", "body": 1}),
    ("queue_put", {"queue": "jobs", "body": 1, "delay": -1}),
    ("queue_put", {"queue": "q" * 5000, "body": 1}),
    ("queue_take", {"queue": "jobs", "lease": 0}),
    ("queue_take", {"queue": "jobs", "limit": 1000}),
    ("event_append", {"stream": "", "type": "t"}),
    ("event_append", {"stream": "s\0", "type": "t", "data": 1}),
    ("event_append", {"stream": "s", "type": "t", "expect": -1}),
    ("agents_show", {"agent": ["director-agent"]}),
    ("agents_show", {"agent": "../../etc"}),
    ("servers_show", {"server": "x" * 10_000}),
    ("logs_search", {"grep": "("}),
    ("logs_search", {"level": "LOUD"}),
    ("transcripts_search", {"session": "../.."}),
    ("backup_show", {"snapshot": "../../x"}),
    ("backup_show", {"snapshot": "latest; true"}),
    ("backup_create", {"to": ["nowhere"]}),
    ("backup_create", {"tags": "x" * 400}),
    ("restore", {"snapshot": "ffff"}),
    ("restore", {"paths": ["x"], "agent": "y"}),
    ("restore", {"paths": ["agents"], "confrim": "yes"}),
    ("undo", {"point": "../../../x"}),
    ("undo", {"point": "nothing-like-it"}),
    ("no_such_tool", {}),
]


def files(folder: Path) -> set[str]:
    """What lies there, without what every call may write."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    own = ("development/.holdfast", "development/logs")
    return {name for name in names if not name.startswith(own)}


def test_wrong_calls_are_told_and_do_nothing(talk: Talk, workspace: Workspace, home: Path) -> None:
    (home / "secret.txt").write_text("the secret of the home", encoding="utf-8")
    workspace.snapshot()
    workspace.queue("jobs").put(1)
    before = files(home)

    async def conversation(session: Session) -> None:
        for tool, arguments in WRONG:
            answer = await session.call(tool, **arguments)
            assert answer.error, (tool, arguments, answer)
            assert len(answer.error) < 6_000, (tool, arguments)
            assert answer.error != f"Error executing tool {tool}", (tool, arguments)
        hint = await session.call("restore", paths=["agents"], confrim="yes")
        assert "did you mean confirm?" in hint.error
        for path in ESCAPES:
            for tool, arguments in (
                ("usage", {"folder": path}),
                ("restore", {"paths": [path]}),
                ("plan_restore", {"paths": [path]}),
            ):
                answer = await session.call(tool, **arguments)
                assert answer.error, (tool, path, answer)
                assert "the secret of the home" not in answer.error
        assert (await session.call("status")).data["healthy"]  # it is still there

    talk(conversation)
    assert files(home) - {"development/restored"} == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_lead_nowhere(talk: Talk, workspace: Workspace, home: Path) -> None:
    root = workspace.layout.root
    outside = home / "outside"
    outside.mkdir()
    (root / "link").symlink_to(outside)
    (root / "restored").symlink_to(outside)
    workspace.snapshot()

    async def conversation(session: Session) -> None:
        for tool, arguments in (
            ("usage", {"folder": "link"}),
            ("restore", {"paths": ["agents"]}),
        ):
            answer = await session.call(tool, **arguments)
            assert "out of the workspace" in answer.error, answer

    talk(conversation)
    assert list(outside.iterdir()) == []


def test_huge_and_deep_calls_are_refused(talk: Talk) -> None:
    async def conversation(session: Session) -> None:
        huge = await session.call("queue_put", queue="jobs", body="x" * 2_000_000)
        assert "at most" in huge.error
        deep: Any = 1
        for _ in range(30 if sys.platform == "win32" else 100):  # deeper, pydantic sends nothing
            deep = [deep]
        await session.call("queue_put", queue="jobs", body=deep)  # taken or told, never a crash
        odd = await session.call("queue_put", queue="jobs", body="\u202e\x00\x1b[31m ü")
        assert not odd.error
        shown = (await session.call("queue_peek", queue="jobs")).data["messages"]
        assert shown[-1]["body"] == "\u202e\x00\x1b[31m ü"

    talk(conversation)


def test_a_regular_expression_that_never_ends_is_ended(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from holdfast.errors import UsageError
    from holdfast.mcp_server.searching import LogQuery, search_apart

    monkeypatch.setenv("PYTHONPATH", child_environment()["PYTHONPATH"])
    workspace.logger("worker").info("a" * 60 + "b")
    root = str(workspace.layout.root)
    query = LogQuery(root, ["worker"], None, None, None, None, "^(a+)+$", 10)
    with pytest.raises(UsageError, match="not finished"):
        search_apart(query, seconds=3)
    plain = LogQuery(root, ["work*"], "INFO", "1h", None, None, "a+b", 10)
    assert len(search_apart(plain)["lines"]) == 1


def test_answers_are_bounded_and_messages_that_do_not_fit_are_given_back(
    talk: Talk, workspace: Workspace
) -> None:
    with workspace.queue("jobs") as queue:
        queue.put_many({"text": f"{n} " + "word " * 700} for n in range(40))
    logger = workspace.logger("worker")
    for number in range(300):
        logger.info("x" * 500, number=number)

    async def conversation(session: Session) -> None:
        taken = (await session.call("queue_take", queue="jobs", limit=40)).data
        assert 1 < len(taken["messages"]) < 40
        assert taken["givenBack"] == 40 - len(taken["messages"])
        [row] = (await session.call("queues_list")).data["queues"]
        assert (row["leased"], row["ready"]) == (len(taken["messages"]), taken["givenBack"])
        lines = (await session.call("logs_search", component=["worker"], limit=300)).data
        assert len(json.dumps(lines)) < LARGEST * 1.2
        assert lines["leftOut"]["lines"] + len(lines["lines"]) == 300
        assert "fewer" in lines["more"]

    talk(conversation)


def test_secrets_are_masked_wherever_they_stand(talk: Talk, workspace: Workspace) -> None:
    workspace.logger("worker").info(f"called with {SECRET}", api_key="hunter2-hunter2")
    workspace.queue("jobs").put({"token": "s3cret-value-12", "note": f"use {SECRET}"})
    workspace.events.append("s", "t", {"url": "https://me:pa55word@example.org/x"})

    async def conversation(session: Session) -> None:
        said = ""
        for tool, arguments in (
            ("logs_search", {"component": ["worker"]}),
            ("queue_peek", {"queue": "jobs"}),
            ("events_read", {}),
            ("agents_show", {"agent": SECRET}),
        ):
            answer = await session.call(tool, **arguments)
            said += json.dumps(answer.data) + answer.error
        for secret in (SECRET, "hunter2-hunter2", "s3cret-value-12", "pa55word"):
            assert secret not in said

    talk(conversation)


def test_what_leaves_is_plain_and_bounded() -> None:
    assert answer_of([1, 2]) == {"items": [1, 2]}
    big = answer_of({"rows": [{"n": n, "text": "y" * 400} for n in range(5_000)]}, "ask for less")
    assert len(json.dumps(big)) <= LARGEST * 1.1
    assert big["leftOut"]["rows"] + len(big["rows"]) == 5_000
    assert big["more"] == "ask for less"
    nested = answer_of({"plan": {"steps": ["s" * 90] * 5_000}, "confirm": "restore x (plan 1)"})
    assert nested["confirm"] == "restore x (plan 1)"
    assert nested["leftOut"]["plan.steps"] + len(nested["plan"]["steps"]) == 5_000
    many = answer_of({f"key {n}": "z" * 3_000 for n in range(100)})
    assert len(json.dumps(many)) <= LARGEST * 1.1
    assert masked_text("a" * 5_000).endswith("more characters)")
    assert masked_text("bad \ud800 surrogate") == "bad \\ud800 surrogate"
    assert SECRET not in masked_text("x" * 3_990 + SECRET)
    assert fitting([{"x": "y" * 100_000}]) == 1
    assert answer_of({"n": 2**70, "f": 1.5, "t": None})["n"] == str(2**70)


def test_a_call_that_takes_too_long_is_answered_and_goes_on(workspace: Workspace) -> None:
    import anyio
    from mcp.server.mcpserver.exceptions import ToolError

    from holdfast.mcp_server.tool import READS, Desk, Tool

    go_on, done = threading.Event(), threading.Event()

    def slow(opened: Workspace, name: str) -> dict[str, str]:
        go_on.wait(60)
        done.set()
        return {"workspace": opened.layout.name, "name": name}

    async def call() -> None:
        offered = Desk(workspace.layout.root).callable(Tool(slow, READS, seconds=0.05))
        with pytest.raises(ToolError, match="goes on in the background"):
            await offered(name="x")
        go_on.set()
        assert await anyio.to_thread.run_sync(done.wait, 60)

    anyio.run(call)


def test_standard_output_is_the_protocols_alone(workspace: Workspace) -> None:
    """Raw lines, some of them no protocol at all: only JSON-RPC comes back."""
    lines = [
        b"not json",
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
        b'"capabilities":{},"clientInfo":{"name":"raw","version":"1"}}}',
        b'{"jsonrpc":"2.0","method":"notifications/initialized"}',
        b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"status"}}',
        b'{"jsonrpc":"2.0","id":3,"method":"no/such"}',
        b"\xff\xfe\x00",
        b'{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"queue_put","arguments":'
        b'{"queue":"jobs","body":' + b"[" * 50_000 + b"]" * 50_000 + b"}}}",
        b'{"jsonrpc":"2.0","id":5,"method":"tools/list"}',
    ]
    command = [sys.executable, "-P", "-m", "holdfast", "mcp", "-w", str(workspace.layout.root)]
    seen: set[Any] = set()
    with subprocess.Popen(
        command, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"\n".join(lines) + b"\n")
        server.stdin.flush()
        while not {1, 2, 3, 5} <= seen:  # an end of the input would end what is under way
            answer = json.loads(server.stdout.readline())
            assert answer["jsonrpc"] == "2.0"
            seen.add(answer.get("id"))
        server.stdin.close()
        assert all(json.loads(line)["jsonrpc"] == "2.0" for line in server.stdout)
        assert server.wait(60) == 0
    nowhere = subprocess.run(
        [sys.executable, "-P", "-m", "holdfast", "mcp", "-w", str(workspace.layout.home / "no")],
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert nowhere.returncode == 2
    assert nowhere.stdout == b""
    assert b"holdfast init" in nowhere.stderr or b"workspace" in nowhere.stderr
