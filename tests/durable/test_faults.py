"""Fault points: silent when not armed; crash, pause and error when armed."""

import errno
from pathlib import Path

import pytest

from holdfast.durable.faults import armed, fault_point
from tests.conftest import Runner, was_killed

VISIT = """
import sys
from holdfast.durable.faults import fault_point
for name in sys.argv[1:]:
    fault_point(name)
    print(name, flush=True)
"""


def test_nothing_happens_unless_armed() -> None:
    fault_point("any")
    with armed("other=crash") as visits:
        fault_point("any")
    assert visits == {"any": 1}
    with armed("any=error:EIO"), armed(""):
        fault_point("any")


def test_errors_on_the_chosen_visit() -> None:
    with armed("a=error:ENOSPC@2; b=pause:0") as visits:
        fault_point("a")
        fault_point("b")
        with pytest.raises(OSError, match="fault point a") as caught:
            fault_point("a")
        fault_point("a")
    assert caught.value.errno == errno.ENOSPC
    assert visits == {"a": 3, "b": 1}


def test_an_unknown_action_is_told() -> None:
    with armed("a=explode"), pytest.raises(ValueError, match="explode"):
        fault_point("a")


def test_a_crash_in_a_child_runs_no_handler(run_python: Runner, tmp_path: Path) -> None:
    code = "import atexit\natexit.register(print, 'handler')\n" + VISIT
    trace = tmp_path / "trace"
    done = run_python(code, "a", "b", "a", "b", faults="a=crash@2", trace=trace)
    assert was_killed(done)
    assert done.stdout.split() == ["a", "b"]
    assert trace.read_text().split() == ["a", "b", "a"]


def test_errors_in_a_child(run_python: Runner) -> None:
    done = run_python(VISIT, "a", faults="a=error:EROFS")
    assert done.returncode == 1
    assert "fault point a" in done.stderr
