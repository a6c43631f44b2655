"""Nothing leaves the machine: what the system saw of the network while Holdfast did its work."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import child_environment, require_program

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace is for Linux")

CALLS = "connect,sendto,sendmsg,sendmmsg"
TOUR = """
holdfast demo "$HOME/demo" --json > "$HOME/told.json"
cd "$HOME/demo/development"
holdfast status > status.txt || true
holdfast backup verify --full
holdfast history init && holdfast history status || true
holdfast secrets scan configs || true
holdfast servers verify --static || true
holdfast usage && holdfast clean && holdfast schedule list && holdfast config show --origin
"""


def reached(command: list[str], home: Path) -> tuple[int, list[str]]:
    """Runs `command`: its exit status, and every address of the internet that was reached for."""
    traced = home / "trace.txt"
    strace = [require_program("strace"), "-f", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}"]
    scripts = Path(sys.executable).parent
    own = {"HOME": str(home), "PATH": f"{scripts}:/usr/local/bin:/usr/bin:/bin"}
    done = subprocess.run(
        [*strace, "-o", traced, *command],
        cwd=home,
        env=child_environment(own),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=240,
        check=False,
    )
    lines = traced.read_text(encoding="utf-8", errors="replace").splitlines()
    return done.returncode, [line for line in lines if re.search(r"\bAF_INET6?\b", line)]


def test_a_connection_would_be_seen(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"import socket; socket.create_connection(('127.0.0.1', {port})).close()"
        status, addresses = reached([sys.executable, "-c", code], tmp_path)
    assert status == 0
    assert any(f"htons({port})" in line for line in addresses)


@pytest.mark.slow
def test_the_demo_and_a_tour_of_the_commands_reach_for_no_address(tmp_path: Path) -> None:
    status, addresses = reached(["sh", "-euc", TOUR], tmp_path)
    assert status == 0
    assert '"held": true' in (tmp_path / "told.json").read_text(encoding="utf-8")
    assert "backups" in (tmp_path / "demo/development/status.txt").read_text(encoding="utf-8")
    assert addresses == []
