"""The supervisor is killed at every fault point and at random; no service is started twice."""

import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped,unused-ignore]
import pytest

from holdfast.durable.faults import armed
from holdfast.errors import HoldfastError
from holdfast.facade import Workspace
from holdfast.services import control
from holdfast.services.records import Records
from holdfast.workflows.processes import identity_of
from tests.conftest import Runner
from tests.services.conftest import (
    Declare,
    is_alive,
    kill_supervisor,
    messages,
    starts,
    state_of,
    supervisors,
    wait_until,
)


@pytest.mark.parametrize(
    "point", ["services.intended", "services.spawned", "services.recorded", "services.logged"]
)
def test_killed_while_it_starts_a_service(
    workspace: Workspace, declare: Declare, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    declare("first", ready={"log": "listening"})
    declare("second", dependsOn=["first"], ready={"log": "listening"})
    with monkeypatch.context() as armed:
        armed.setenv("HOLDFAST_FAULTS", f"{point}=crash@1")
        with suppress(HoldfastError):  # "does not stay alive", where each one gets no further
            control.start(workspace, limit=20)
    found = control.start(workspace)
    assert [each.state for each in found] == ["ready", "ready"]
    assert sorted(starts(workspace)) == ["first", "second"]
    assert set(messages(workspace, "agent-first")) == {"listening"}
    control.stop(workspace)


def test_killed_while_it_stops_a_service(
    workspace: Workspace, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare("agent", ready={"log": "listening"})
    with monkeypatch.context() as armed:
        armed.setenv("HOLDFAST_FAULTS", "services.stopping=crash@1")
        (found,) = control.start(workspace)
    control.stop(workspace)
    assert not is_alive(found.pid or 0)
    assert state_of(workspace, "agent").state == "stopped"


@pytest.mark.slow
def test_killed_at_random(workspace: Workspace, declare: Declare) -> None:
    for name in ("first", "second", "third"):
        declare(name, ready={"log": "listening"})
    for _ in range(6):
        command = [sys.executable, "-m", "holdfast", "start", "-w", str(workspace.layout.root)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as starting:
            time.sleep(random.uniform(0.2, 0.7))
            kill_supervisor(workspace)
            assert starting.wait(100) == 0
        kill_supervisor(workspace)
        wait_until(lambda: not supervisors(workspace), "the supervisor is dead")
    assert all(each.state == "ready" for each in control.start(workspace))
    assert sorted(starts(workspace)) == ["first", "second", "third"]
    control.stop(workspace)


def test_a_service_survives_its_supervisor_and_its_output_is_not_lost(
    workspace: Workspace, declare: Declare
) -> None:
    code = """
        import os, time
        print("before", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.02)
        print("meanwhile", flush=True)
        open("said", "w").close()
        time.sleep(600)
    """
    declare("talker", code, ready={"log": "before"})
    (found,) = control.start(workspace)
    kill_supervisor(workspace)
    root: Path = workspace.layout.root
    (root / "go").touch()
    wait_until(lambda: (root / "said").exists(), "it goes on without a supervisor")
    (again,) = control.start(workspace)
    assert (again.pid, again.state) == (found.pid, "ready")
    wait_until(lambda: "meanwhile" in messages(workspace, "agent-talker"), "its output is logged")
    assert messages(workspace, "agent-talker") == ["before", "meanwhile"]
    control.stop(workspace)
    assert not is_alive(found.pid or 0)


def test_one_that_died_while_nobody_looked_is_started_again(
    workspace: Workspace, declare: Declare
) -> None:
    declare("agent", ready={"log": "listening"}, restart={"backoff": 0.05})
    (found,) = control.start(workspace)
    kill_supervisor(workspace)
    psutil.Process(found.pid).kill()
    wait_until(lambda: not is_alive(found.pid or 0), "it is dead")
    assert state_of(workspace, "agent").state == "failed"
    control.start(workspace)
    wait_until(lambda: state_of(workspace, "agent").state == "ready", "it is ready")
    assert len(starts(workspace)) == 2


@pytest.mark.parametrize("order", ["start", "stop"])
def test_a_reused_process_id_is_nobody(workspace: Workspace, declare: Declare, order: str) -> None:
    declare("agent", ready={"log": "listening"}, restart={"backoff": 0.05})
    control.start(workspace)
    kill_supervisor(workspace)
    records = Records(workspace.layout)
    record = records.read("agent")
    assert record.process is not None
    psutil.Process(record.process.pid).kill()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as bystander:
        try:
            theirs = identity_of(bystander.pid)
            assert theirs is not None
            record.process = msgspec.structs.replace(theirs, started=theirs.started - 1)
            records.write(record)
            if order == "stop":
                control.stop(workspace)
                assert state_of(workspace, "agent").state == "stopped"
            else:
                control.start(workspace)
                wait_until(lambda: state_of(workspace, "agent").state == "ready", "it is ready")
                assert len(starts(workspace)) == 2
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_two_starts_at_once(workspace: Workspace, declare: Declare) -> None:
    declare("agent", ready={"log": "listening"})
    command = [sys.executable, "-m", "holdfast", "start", "-w", str(workspace.layout.root)]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(4)]
    assert [each.wait(100) for each in running] == [0, 0, 0, 0]
    assert starts(workspace) == ["agent"]
    wait_until(lambda: len(supervisors(workspace)) == 1, "one supervisor is left")


def test_a_full_disk_stops_no_service(
    workspace: Workspace, declare: Declare, holdfast: Runner
) -> None:
    declare("agent", ready={"log": "listening"})
    faults = {"HOLDFAST_FAULTS": "files.temporary.written=error:ENOSPC@6"}
    done = holdfast("start", cwd=workspace.layout.root, env=faults)
    assert done.returncode in (0, 1)
    (found,) = control.start(workspace)
    assert found.state == "ready"
    assert starts(workspace) == ["agent"]


def test_what_is_stopped_ends_on_a_full_disk_too(workspace: Workspace, declare: Declare) -> None:
    from holdfast.services.declared import declared_services
    from holdfast.services.environment import no_secrets
    from holdfast.services.records import Wish
    from holdfast.services.supervised import Supervised

    declare("agent", ready={"log": "listening"})
    service = Supervised(workspace, Records(workspace.layout), "agent", no_secrets)
    service.service = declared_services(workspace)["agent"]

    def look(up: bool) -> str:
        with suppress(HoldfastError):
            service.look(Wish(up=up), time.time(), blocked="", held=False)
        return service.record.state

    wait_until(lambda: look(up=True) == "ready", "it is ready")
    process = service.record.process
    assert process is not None
    with armed("files.temporary.written=error:ENOSPC"):
        wait_until(lambda: look(up=False) == "stopped", "it has ended")
    assert not is_alive(process.pid)


def test_a_registry_that_cannot_be_read_is_waited_for(
    workspace: Workspace, declare: Declare
) -> None:
    declare("agent", ready={"log": "listening"})
    control.start(workspace)
    kill_supervisor(workspace)
    whole = workspace.registry.path.read_bytes()
    process = Records(workspace.layout).read("agent").process
    assert process is not None
    psutil.Process(process.pid).kill()
    wait_until(lambda: not is_alive(process.pid), "it is dead")
    workspace.registry.path.write_text("{torn", encoding="utf-8")
    command = [sys.executable, "-m", "holdfast.services.supervisor", str(workspace.layout.root)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as supervisor:
        records = Records(workspace.layout)
        wait_until(lambda: "can be read" in records.read("agent").reason, "it waits")
        workspace.registry.path.write_bytes(whole)
        wait_until(lambda: records.read("agent").state == "ready", "it is started")
        supervisor.kill()
    assert len(starts(workspace)) == 2
