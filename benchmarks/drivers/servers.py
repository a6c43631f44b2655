"""What is timed of MCP servers. An adapter has ``verify(folder)`` or ``sync(path, servers)``."""

import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

# Answers at once in both eras, so that the checking is measured and not the servers' start.
_SERVER = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    answers = {
        "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                       "serverInfo": {"name": "small", "version": "1"}},
        "tools/list": {"tools": []},
        "ping": {},
    }
    if "id" in message:
        answer = answers.get(message["method"])
        body = {"error": {"code": -32601, "message": "unknown"}} if answer is None else {
            "result": answer}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **body}), flush=True)
"""


class Driver:
    """Handshakes with local servers, and servers written into a client's large file."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter

    def verify(self, folder: str, number: int, servers: int) -> dict[str, Any]:
        """Check `servers` servers that the client's file names."""
        home = Path(folder)
        if number == 0:
            (home / "server.py").write_text(_SERVER, "utf-8")
            settings = {"type": "stdio", "command": sys.executable, "env": {}}
            settings["args"] = [str(home / "server.py")]
            block = {f"s{one}": settings for one in range(servers)}
            text = json.dumps({"mcpServers": block}, indent=2)
            (home / ".claude.json").write_text(text, "utf-8")
        started = time.perf_counter()
        healthy = self._adapter.verify(home)
        seconds = time.perf_counter() - started
        if healthy != servers:
            raise AssertionError(f"{healthy} of {servers} servers answered")
        return {"count": 1, "seconds": seconds}

    def sync(self, folder: str, number: int, servers: int, megabytes: int) -> dict[str, Any]:
        """Write `servers` servers into a file of this size; the seconds are of CPU."""
        path = Path(folder) / f"{number}.json"
        history = [{"display": f"mend module {one} please", "pasted": {}} for one in range(100)]
        project = {"allowedTools": [], "history": history, "mcpServers": {}}
        each = len(json.dumps(project, indent=2)) + 2000
        projects = {f"/projects/{one}": project for one in range(megabytes * 1_000_000 // each)}
        path.write_text(json.dumps({"projects": projects, "mcpServers": {}}, indent=2), "utf-8")
        settings = {"type": "stdio", "command": "x", "args": ["a"], "env": {}}
        started = time.process_time()
        self._adapter.sync(path, {f"s{one}": settings for one in range(servers)})
        seconds = time.process_time() - started
        if len(json.loads(path.read_bytes())["mcpServers"]) != servers:
            raise AssertionError("servers were lost")
        return {"count": 1, "seconds": seconds}

    def close(self) -> None:
        """Nothing is open."""
