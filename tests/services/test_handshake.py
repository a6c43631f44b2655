"""What is wrong with a server that fails is told in words; none is left running."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS

from holdfast.services import first_messages
from holdfast.services.handshake import Health, check_servers
from holdfast.services.server_process import ServerProcess

OLD = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "server/discover":
        {discover}
    elif method == "initialize":
        result = {{"protocolVersion": "2025-06-18", "capabilities": {{"tools": {{}}}},
                  "serverInfo": {{"name": "old", "version": "1"}}}}
    elif method == "tools/list":
        result = {{"tools": [{{"name": "t", "inputSchema": {{"type": "object"}}}}]}}
    else:
        continue
    print(json.dumps({{"jsonrpc": "2.0", "id": message["id"], "result": result}}), flush=True)
"""
NEW = """
from mcp.server.mcpserver import MCPServer
server = MCPServer("new")
@server.tool()
def add(a: int, b: int) -> int:
    return a + b
{before}
server.run(**{options})
"""
SECRET = "v3ry-Secret-Value-0001"


def python(code: str, **more: Any) -> dict[str, Any]:
    return {"type": "stdio", "command": sys.executable, "args": ["-c", code], **more}


def check(tmp_path: Path, servers: dict[str, Any], timeout: float = 240.0) -> dict[str, Health]:
    found = check_servers(servers, root=tmp_path, timeout=timeout)
    return {each.name: each for each in found}


def test_servers_of_both_eras_are_spoken_to(tmp_path: Path) -> None:
    found = check(
        tmp_path,
        {
            "new": python(NEW.format(before="", options={})),
            "noisy": python(NEW.format(before="print('Ready!', flush=True)", options={})),
            "old": python(OLD.format(discover="result = {}")),
            "dies": python(OLD.format(discover="sys.exit(3)")),
        },
    )
    assert all(each.healthy for each in found.values()), found
    assert all(each.tools == 1 for each in found.values())
    assert found["new"].protocol == "2026-07-28"
    assert found["old"].protocol == found["dies"].protocol == "2025-06-18"
    assert found["old"].server == "old 1"
    assert "Ready!" in found["noisy"].notes[0]


# Writes what it is told to the file that it is given, and answers as a server of an era does.
RECORDING = """
import json, sys
discover = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "r", "version": "1"}},
            "resultType": "complete", "cacheScope": "private", "ttlMs": 0}
initialize = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
              "serverInfo": {"name": "r", "version": "1"}}
tool = {"name": "t", "inputSchema": {"type": "object"}}
for line in sys.stdin:
    with open(sys.argv[1], "a") as file:
        file.write(line)
    message = json.loads(line)
    method, told = message["method"], message.get("params", {})
    page = {"tools": [tool], "resultType": "complete", "cacheScope": "private", "ttlMs": 0}
    if "cursor" not in told:
        page["nextCursor"] = "more"
    answers = {"initialize": initialize, "tools/list": page}
    if sys.argv[2] == "newer":
        answers["server/discover"] = discover
    body = {"error": {"code": -32601, "message": "unknown"}}
    if method in answers:
        body = {"result": answers[method]}
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
"""


def told(path: Path) -> list[dict[str, Any]]:
    """The messages in a file, without what a client says of itself."""
    messages = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for message in messages:
        own = message.get("params", {})
        own.pop("clientInfo", None)
        own.get("_meta", {}).pop("io.modelcontextprotocol/clientInfo", None)
    return messages


@pytest.mark.parametrize("era", ["newer", "older"])
def test_we_say_what_the_sdk_says_and_find_what_it_finds(tmp_path: Path, era: str) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    server = {"command": sys.executable, "args": ["-c", RECORDING, str(ours), era]}
    [found] = check(tmp_path, {"r": server}).values()

    async def ask() -> tuple[str, int]:
        program = ["-c", RECORDING, str(theirs), era]
        parameters = StdioServerParameters(command=sys.executable, args=program)
        async with Client(stdio_client(parameters), cache=None) as client:
            first = await client.list_tools()
            second = await client.list_tools(cursor=first.next_cursor)
            return client.protocol_version, len(first.tools) + len(second.tools)

    assert (found.protocol, found.tools) == asyncio.run(ask()), found
    assert found.server == "r 1"
    assert told(ours) == told(theirs)
    assert list(MODERN_PROTOCOL_VERSIONS) == [first_messages.NEWER]
    assert tuple(HANDSHAKE_PROTOCOL_VERSIONS) == first_messages.OLDER


def test_a_real_server_of_the_sdk_in_the_older_era(tmp_path: Path) -> None:
    async def meet() -> first_messages.Met:
        code = NEW.format(before="", options={})
        process = await ServerProcess.start(
            Path(sys.executable), ["-c", code], os.environ, tmp_path
        )
        try:
            return await first_messages.meet(process, older=True)
        finally:
            await process.end()

    met = asyncio.run(meet())
    assert (met.protocol, met.server, met.tools) == ("2025-11-25", "new", 1)


def test_answers_that_the_protocol_does_not_know(tmp_path: Path) -> None:
    asking = """
        print('{"jsonrpc":"2.0","id":"q","method":"ping"}', flush=True)
        assert json.loads(sys.stdin.readline()) == {"jsonrpc": "2.0", "id": "q", "result": {}}
        print('{"jsonrpc":"2.0","method":"notifications/message","params":{}}', flush=True)
        print('{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage"}', flush=True)
        assert json.loads(sys.stdin.readline())["error"]["code"] == -32601
        result = {}"""
    later = """
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {
            "code": -32022, "message": "no", "data": {"supported": ["2031-01-01"]}}}), flush=True)
        continue"""
    found = check(
        tmp_path,
        {
            "asks": python(OLD.format(discover=asking.strip())),
            "echo": python("import sys\nfor line in sys.stdin: print(line, end='', flush=True)"),
            "later": python(OLD.format(discover=later.strip())),
            "shapeless": python(OLD.format(discover="result = {}").replace('"name": "t", ', "")),
        },
        timeout=60,
    )
    assert found["asks"].healthy, found["asks"]
    assert "to server/discover it answered: no" in str(found["later"].problem)
    assert "it only repeats" in str(found["echo"].problem)
    assert "its answer to tools/list is none" in str(found["shapeless"].problem)


def test_the_kinds_of_failure_are_told_apart(tmp_path: Path) -> None:
    found = check(
        tmp_path,
        {
            "absent": {"command": "no-such-program-anywhere", "args": []},
            "reference": python("0", env={"KEY": "${HOLDFAST_NOT_SET}"}),
            "module": python("import no_such_module_at_all"),
            "variable": python("import os; os.environ['LEDGER_TOKEN']"),
            "words": python("import sys; sys.exit('error: LEDGER_TOKEN is not set')"),
            "quiet": python("import sys; sys.exit(7)"),
            "flood": python("while True: print('x' * 10000)"),
            "endless": python("import sys\nwhile True: sys.stdout.write('x' * 1000000)"),
            "unreachable": {"type": "http", "url": f"http://127.0.0.1:{free_port()}/mcp"},
            "secret": python(
                "import os, sys; sys.exit('bad key ' + os.environ['API_KEY'])",
                env={"API_KEY": SECRET},
            ),
        },
    )
    assert not any(each.healthy for each in found.values())
    problems = {name: f"{each.problem} ({each.hint})" for name, each in found.items()}
    assert "is not found" in problems["absent"]
    assert "missing environment variables: HOLDFAST_NOT_SET" in problems["reference"]
    assert "exited with status 1" in problems["module"]
    assert "install the Python module no_such_module_at_all" in problems["module"]
    assert "No module named" in found["module"].stderr
    for name in ("variable", "words"):
        assert "a variable is missing" in problems[name]
        assert "LEDGER_TOKEN" in problems[name]
    assert "exited with status 7" in problems["quiet"]
    assert "floods" in problems["flood"]
    assert "floods" in problems["endless"]
    assert "cannot be reached" in problems["unreachable"]
    assert SECRET not in repr(found["secret"])
    assert "bad key" in found["secret"].stderr


def test_a_server_that_hangs_or_prints_rubbish(tmp_path: Path) -> None:
    found = check(
        tmp_path,
        {
            "hangs": python("import time; time.sleep(600)"),
            "rubbish": python("import time; print('Starting…', flush=True); time.sleep(600)"),
            "silent": python(OLD.format(discover="continue")),
        },
        timeout=12,
    )
    assert "hangs: no answer within 12 s" in str(found["hangs"].problem)
    said = "'Starting" if sys.platform == "win32" else "'Starting…' on standard output"
    assert said in str(found["rubbish"].problem)  # Windows prints in the language's characters
    assert found["silent"].healthy, "the older era is tried when discover is not answered"


def test_nothing_that_was_started_goes_on(tmp_path: Path) -> None:
    """Also what ignores every signal that can be ignored, and has children elsewhere."""
    child = tmp_path / "child"
    stubborn = f"""
import pathlib, signal, subprocess, sys, time
if sys.platform != "win32":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
pathlib.Path({str(child)!r}).write_text(str(child.pid))
time.sleep(600)
"""
    found = check(tmp_path, {"stubborn": python(stubborn)}, timeout=8)
    assert not found["stubborn"].healthy
    pid = int(child.read_text(encoding="utf-8"))
    deadline = time.monotonic() + 30
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("kind", "transport", "place"), [("http", "streamable-http", "mcp"), ("sse", "sse", "sse")]
)
def test_remote_servers(tmp_path: Path, kind: str, transport: str, place: str) -> None:
    port = free_port()
    options = {"transport": transport, "host": "127.0.0.1", "port": port}
    code = NEW.format(before="", options=options)
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            settings = {"type": kind, "url": f"http://127.0.0.1:{port}/{place}"}
            found = check(tmp_path, {"remote": settings})
        finally:
            server.kill()
    assert found["remote"].healthy, found
    assert found["remote"].tools == 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
