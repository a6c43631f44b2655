"""Services: started in order, ready when they say so, restarted, ended; all with real processes."""

import json
import subprocess
import sys

import pytest

from holdfast.errors import HoldfastError, MissingError, NotFoundError, UnreadableError, UsageError
from holdfast.facade import Workspace
from holdfast.services import control
from holdfast.services.environment import environment_for, resolve
from tests.conftest import Runner
from tests.services.conftest import (
    LASTING,
    STUBBORN,
    Declare,
    ends,
    is_alive,
    messages,
    starts,
    state_of,
    supervisors,
    wait_until,
)


def test_dependencies_come_first_and_go_last(workspace: Workspace, declare: Declare) -> None:
    declare("front", dependsOn=["store", "queue"], ready={"log": "listening"})
    declare("queue", dependsOn=["store"], ready={"log": "listening"})
    declare("store", ready={"file": "starts.txt"})
    declare("manual", autostart=False)
    found = control.start(workspace)
    assert [(each.name, each.state) for each in found] == [
        ("store", "ready"),
        ("queue", "ready"),
        ("front", "ready"),
    ]
    assert starts(workspace) == ["store", "queue", "front"]
    assert not control.unhealthy(control.statuses(workspace))
    control.start(workspace)  # what runs is left alone
    assert len(starts(workspace)) == 3
    control.stop(workspace)
    assert {each.state for each in control.statuses(workspace)} == {"stopped"}
    if sys.platform != "win32":  # there the signal ends them before they can say so
        assert all(state_of(workspace, name).pid is None for name in ("front", "queue", "store"))
    wait_until(lambda: not supervisors(workspace), "the supervisor ends when nothing is left")


def test_the_order_of_the_end(workspace: Workspace, declare: Declare) -> None:
    polite = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: None)\n" + _undented(LASTING)
    declare("front", polite, dependsOn=["store"], ready={"log": "listening"})
    declare("store", polite, ready={"log": "listening"})
    control.start(workspace)
    control.stop(workspace, ["store"])
    if sys.platform != "win32":
        assert ends(workspace) == ["front", "store"]
    assert state_of(workspace, "front").state == "stopped"


def test_ready_by_its_port(workspace: Workspace, declare: Declare) -> None:
    from tests.servers import _free_port

    port = _free_port()
    code = f"""
        import socket, time
        time.sleep(0.3)
        listener = socket.create_server(("127.0.0.1", {port}))
        while True:
            listener.accept()[0].close()
    """
    declare("web", code, ready={"port": port, "timeout": 20})
    (found,) = control.start(workspace)
    assert found.state == "ready"
    assert found.memory
    assert found.cpu is not None
    assert found.age is not None


def test_one_that_does_not_become_ready_is_named(workspace: Workspace, declare: Declare) -> None:
    declare("mute", ready={"log": "never said", "timeout": 0.4}, restart={"policy": "never"})
    declare("after", dependsOn=["mute"])
    found = {each.name: each for each in control.start(workspace)}
    assert found["mute"].state == "failed"
    assert "its output does not hold 'never said'" in found["mute"].reason
    assert found["after"].state == "waiting"
    assert found["after"].reason == "waits for mute"
    assert len(control.unhealthy(found.values())) == 2


def test_restarts_back_off_and_end(workspace: Workspace, declare: Declare) -> None:
    code = (
        'import sys\nopen("starts.txt", "a").write("dying 1\\n")\nprint("last words")\nsys.exit(3)'
    )
    declare("dying", code, restart={"limit": 2, "backoff": 0.05}, ready={"log": "never"})
    (found,) = control.start(workspace)
    assert found.state == "failed"
    assert found.reason == "given up after 2 restarts; ended with status 3"
    assert len(starts(workspace)) == 3
    assert messages(workspace, "agent-dying") == ["last words"] * 3
    control.start(workspace)  # begins to count anew
    assert len(starts(workspace)) == 6


def test_one_that_ends_well_is_done(workspace: Workspace, declare: Declare) -> None:
    declare("once", "print('done')", ready={"log": "nothing"})
    (found,) = control.start(workspace)
    assert (found.state, found.exit_status, found.healthy) == ("ended", 0, True)


def test_one_that_dies_is_restarted(workspace: Workspace, declare: Declare) -> None:
    declare("agent", ready={"log": "listening"}, restart={"backoff": 0.05})
    (found,) = control.start(workspace)
    assert found.pid is not None
    _kill(found.pid)
    wait_until(lambda: len(starts(workspace)) == 2, "it is started again")
    wait_until(lambda: state_of(workspace, "agent").state == "ready", "it is ready again")
    (again,) = control.restart(workspace)
    assert again.state == "ready"
    assert len(starts(workspace)) == 3


def test_the_stubborn_are_killed_with_their_children(
    workspace: Workspace, declare: Declare
) -> None:
    declare("stubborn", STUBBORN, stopTimeout=0.3, ready={"log": "child"})
    (found,) = control.start(workspace)
    child = int(messages(workspace, "agent-stubborn")[0].split()[1])
    assert found.pid is not None
    assert is_alive(found.pid)
    assert is_alive(child)
    (stopped,) = control.stop(workspace)
    assert stopped.state == "stopped"
    wait_until(lambda: not is_alive(found.pid or 0), "it is dead")
    wait_until(lambda: not is_alive(child), "its child is dead")


def test_output_becomes_log_lines(workspace: Workspace, declare: Declare) -> None:
    code = """
        import sys
        print('{"message": "counted", "level": "WARNING", "bees": 3}')
        print("plain", file=sys.stderr)
        sys.stdout.flush()
        sys.stdout.buffer.write(b"no UTF-8: \\xff; no end of line")
    """
    declare("talker", code, ready={"log": "nothing"})  # so that its end is waited for
    control.start(workspace)
    lines = (workspace.layout.logs / "agent-talker.log").read_text(encoding="utf-8").splitlines()
    facts = {line["message"]: line for line in map(json.loads, lines)}
    assert facts["counted"]["level"] == "WARNING"
    assert facts["counted"]["bees"] == 3
    assert facts["plain"]["component"] == "agent-talker"
    assert "no UTF-8: \ufffd; no end of line" in facts


def test_a_server_of_the_registry(workspace: Workspace) -> None:
    script = workspace.layout.servers / "ledger.py"
    script.write_text(_undented(LASTING), encoding="utf-8")
    entry = {
        "type": "http",
        "url": "http://127.0.0.1:9",
        "service": {"command": [sys.executable, str(script)], "ready": {"log": "listening"}},
    }
    document = {"mcpRegistry": {"production": {"ledger": entry, "plain": {"command": "x"}}}}
    workspace.layout.server_registry.write_text(json.dumps(document), encoding="utf-8")
    (found,) = control.start(workspace)
    assert (found.name, found.kind, found.state) == ("ledger", "server", "ready")
    assert messages(workspace, "server-ledger") == ["listening"]


def test_the_environment(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITY", "Bern")
    layout = workspace.layout
    shared = {"PLACE": "in ${CITY}", "EMPTY": "${NOT_THERE:-nothing}"}
    layout.environment.write_text(json.dumps(shared), encoding="utf-8")
    own = {"KEY": "Bearer ${secret:api/key}", "BOTH": "${PLACE}!"}
    found = environment_for(layout, own, lambda name: f"<{name}>")
    assert found["PLACE"] == "in Bern"
    assert found["EMPTY"] == "nothing"
    assert found["KEY"] == "Bearer <api/key>"
    assert found["BOTH"] == "in Bern!"
    assert found["HOLDFAST_WORKSPACE"] == str(layout.root)
    with pytest.raises(UsageError, match="refers to NOWHERE, which is not set"):
        resolve("${NOWHERE}", {}, lambda name: name, "the variable X")
    with pytest.raises(MissingError, match="the secret 'api/key' is not known"):
        environment_for(layout, own)
    layout.environment.write_text('{"NUMBER": 1}', encoding="utf-8")
    with pytest.raises(UnreadableError, match="not a string: NUMBER"):
        environment_for(layout, {})


def test_what_cannot_be_started_says_why(workspace: Workspace, declare: Declare) -> None:
    declare("gone")
    (workspace.layout.agents / "gone.py").unlink()
    declare("strange", command=["no-such-program-here"])
    declare("poor", env={"KEY": "${NOT_SET_ANYWHERE}"})
    found = {each.name: each.reason for each in control.start(workspace)}
    assert "the file of agent gone is gone" in found["gone"]
    assert "the program 'no-such-program-here' is not found" in found["strange"]
    assert "refers to NOT_SET_ANYWHERE" in found["poor"]


def test_wrong_declarations(workspace: Workspace, declare: Declare) -> None:
    declare("one", dependsOn=["two"])
    with pytest.raises(NotFoundError, match="one depends on 'two', which is no service"):
        control.start(workspace)
    declare("two", dependsOn=["one"])
    with pytest.raises(UsageError, match="in a circle"):
        control.start(workspace)
    with pytest.raises(NotFoundError, match="no service is called 'thre'"):
        control.stop(workspace, ["thre"])
    with pytest.raises(UsageError, match="the service of an agent"):
        workspace.registry.update("one", service={"ready": {"port": "eighty"}})
    with pytest.raises(UsageError, match="more than one of port, log and file"):
        workspace.registry.update("one", service={"ready": {"port": 80, "log": "x"}})


def test_everything_can_be_stopped_when_the_registry_is_torn(
    workspace: Workspace, declare: Declare
) -> None:
    declare("agent", ready={"log": "listening"})
    (found,) = control.start(workspace)
    workspace.registry.path.write_text('{"agentRegistry', encoding="utf-8")
    with pytest.raises(UnreadableError):
        control.start(workspace)
    with pytest.raises(HoldfastError):
        control.stop(workspace)  # it is stopped, and then the list cannot be made
    assert not is_alive(found.pid or 0)


def test_the_commands(workspace: Workspace, declare: Declare, holdfast: Runner) -> None:
    root = workspace.layout.root
    done = holdfast("start", cwd=root)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no service is declared" in done.stderr
    declare("good", ready={"log": "listening"})
    declare("bad", "raise SystemExit(4)", restart={"limit": 0}, ready={"log": "x"})
    done = holdfast("start", cwd=root)
    assert done.returncode == 1, done.stderr
    assert "ready    good (process" in done.stdout
    assert "failed   bad: given up after 0 restarts; ended with status 4; look at" in done.stdout
    done = holdfast("ps", "good", "--json", cwd=root)
    assert done.returncode == 0
    (facts,) = json.loads(done.stdout)
    assert (facts["state"], facts["exitStatus"], facts["wanted"]) == ("ready", None, True)
    done = holdfast("ps", cwd=root)
    assert done.returncode == 1
    assert done.stdout.startswith("good\tready\t")
    assert holdfast("ps", "goof", cwd=root).returncode == 2
    done = holdfast("restart", "good", cwd=root)
    assert done.returncode == 0, done.stderr
    assert starts(workspace) == ["good", "good"]
    done = holdfast("stop", cwd=root)
    assert done.returncode == 0, done.stderr
    assert "stopped  good" in done.stdout


def test_initialize_starts_the_services(workspace: Workspace, declare: Declare) -> None:
    declare("good", ready={"log": "listening"})
    done = subprocess.run(
        [sys.executable, "initialize.py"],
        cwd=workspace.layout.root,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ready    service good" in done.stdout
    assert starts(workspace) == ["good"]


def _kill(pid: int) -> None:
    import psutil  # type: ignore[import-untyped,unused-ignore]

    psutil.Process(pid).kill()


def _undented(code: str) -> str:
    import textwrap

    return textwrap.dedent(code)
