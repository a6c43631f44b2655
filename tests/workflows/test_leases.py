"""Who may execute a run: owners that live, died, fell silent, or wake up again."""

import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from holdfast.engines.urls import url_for
from holdfast.errors import BusyError, ConflictError
from holdfast.workflows import Workflows, step, workflow
from holdfast.workflows.leases import Leases, OwnerNote
from holdfast.workflows.processes import is_gone, this_process
from holdfast.workflows.records import encode
from holdfast.workflows.stores.memory import MemoryStore

gate = threading.Event()
reached = threading.Event()
calls: list[str] = []


@step
def held() -> str:
    calls.append("held")
    reached.set()
    assert gate.wait(20)
    return "done"


@workflow
def holding() -> str:
    return held()


@pytest.fixture
def url(tmp_path: Path) -> str:
    gate.clear()
    reached.clear()
    calls.clear()
    return url_for("sqlite", tmp_path / "state.db")


def test_two_never_run_the_same_run(url: str) -> None:
    with Workflows(url) as first, Workflows(url) as second:
        run = holding.start(id="run-1", engine=first)
        assert reached.wait(20)
        with pytest.raises(BusyError, match="being executed by process"):
            second.resume("run-1")
        assert second.recover() == []
        assert not second.get("run-1").interrupted
        other = holding.start(id="run-1", engine=second)
        gate.set()
        assert other.result(20) == run.result(20) == "done"
    assert calls == ["held"]


def test_a_silent_owner_is_given_up_and_records_nothing_more(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first owner's heart does not beat: as if its machine slept, though its process lives.
    monkeypatch.setattr(Leases, "_beat", lambda self: None)
    with Workflows(url) as first, Workflows(url, lease=0.2) as second:
        late = holding.start(id="run-1", engine=first)
        assert reached.wait(20)
        assert second.recover() == []  # seen for the first time
        assert not threading.Event().wait(0.3)
        (taken,) = second.recover()
        gate.set()
        assert taken.result(20) == "done"
        with pytest.raises(ConflictError, match="taken over"):
            late.result(20)
        assert len(list(second.steps("run-1"))) == 1
    assert calls == ["held", "held"]


def test_a_beating_owner_is_never_given_up() -> None:
    store = MemoryStore()
    leases = Leases(store, lease=0.05)
    for beat in range(4):
        store.save_owner("other", encode(OwnerNote(this_process(), beat)))
        assert not leases.is_free("other")
        assert not threading.Event().wait(0.06)
    assert leases.is_free("other")


def test_the_owner_that_closed_is_gone(url: str) -> None:
    with Workflows(url) as first, pytest.raises(KeyboardInterrupt):
        first.run(interrupted, run_id="run-1")
    with Workflows(url) as second:
        assert second.get("run-1").interrupted


@workflow
def interrupted() -> None:
    raise KeyboardInterrupt


def test_a_process_that_ended_is_gone_and_this_one_is_not() -> None:
    ask = "from holdfast.workflows.processes import this_process as t; import msgspec; "
    shown = subprocess.run(
        [sys.executable, "-c", ask + "print(msgspec.json.encode(t()).decode())"],
        capture_output=True,
        check=True,
    )
    ended = msgspec.json.decode(shown.stdout, type=type(this_process()))
    assert is_gone(ended, shared_by_hosts=True)
    assert not is_gone(this_process(), shared_by_hosts=True)


def test_only_what_is_certain_counts_as_gone() -> None:
    me = this_process()
    reused = msgspec.structs.replace(me, started=me.started + 1)
    assert is_gone(reused, shared_by_hosts=True)
    elsewhere = msgspec.structs.replace(reused, host="another-host")
    assert not is_gone(elsewhere, shared_by_hosts=True)
    before_the_reboot = msgspec.structs.replace(me, boot="another boot")
    assert is_gone(before_the_reboot, shared_by_hosts=False)
    assert not is_gone(before_the_reboot, shared_by_hosts=True)
