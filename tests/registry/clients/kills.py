"""Kills a sync at random instants: ``python kills.py ROOT WHICH ROUNDS``.

Each round a sync of twenty servers, or of none, is begun in the workspace ROOT and killed; then the
client's file WHICH (code, project or desktop) must be one of the two versions. Where there is no
fork, a process is started anew.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from holdfast.facade import Workspace, open_workspace
from holdfast.registry import ServerRegistry
from holdfast.registry.clients.syncing import sync_servers
from holdfast.workspace.layout import Layout

SETTLING = 0.3  # seconds that a sync of a file without a lock waits after it has written


def registry_of(layout: Layout, name: str) -> ServerRegistry:
    path = layout.state / f"{name}-servers.json"
    return ServerRegistry(
        path, generations=layout.generations / name, locks=layout.locks / name, durability="process"
    )


def sync(workspace: Workspace, which: str, number: int) -> Path:
    """One sync: of twenty servers in the even rounds, of none in the odd ones."""
    registry = registry_of(workspace.layout, "none" if number % 2 else "twenty")
    to, scope = ("desktop", "user") if which == "desktop" else ("code", "user")
    if which == "project":
        scope = "project"
    report = sync_servers(registry, workspace.layout, to, scope=scope)  # type: ignore[arg-type]
    return Path(report.files[0].path)


def main() -> None:
    workspace, which, rounds = open_workspace(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if rounds < 0:
        sync(workspace, which, -rounds)
        return
    servers = {f"s{number}": {"command": "x" * 50} for number in range(20)}
    registry_of(workspace.layout, "twenty").add_many(servers)
    registry_of(workspace.layout, "none").add_many({})
    path = sync(workspace, which, 1)
    before = path.read_bytes()
    began = time.monotonic()
    sync(workspace, which, 2)
    longest = max(0.02, time.monotonic() - began - (0 if which == "code" else SETTLING))
    after = path.read_bytes()
    assert before != after
    seen = set()
    for number in range(rounds):
        kill_one(workspace, which, number, longest)
        content = path.read_bytes()
        assert content in (before, after), content
        seen.add(content)
        left = path.with_name(path.name + ".lock")
        if left.exists():
            left.rmdir()
    for number, expected in ((1, before), (2, after)):
        sync(workspace, which, number)
        assert path.read_bytes() == expected, "a whole sync mends what a killed one left undone"
    print(len(seen), "versions seen")


if sys.platform == "win32":

    def kill_one(workspace: Workspace, which: str, number: int, longest: float) -> None:
        root = str(workspace.layout.root)
        command = [sys.executable, __file__, root, which, str(-2 - number)]
        with subprocess.Popen(command) as writer:
            time.sleep(random.uniform(0.2, 1 + longest))
            writer.kill()

else:
    import signal

    def kill_one(workspace: Workspace, which: str, number: int, longest: float) -> None:
        writer = os.fork()
        if writer == 0:
            sync(workspace, which, number)
            os._exit(0)
        time.sleep(random.uniform(0, longest))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


if __name__ == "__main__":
    main()
