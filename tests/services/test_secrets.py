"""A service gets its secrets, and its log does not."""

import json
import sys
from pathlib import Path

import pytest

from holdfast.facade import Workspace
from holdfast.services import control
from tests.services.conftest import LASTING, Declare, kill_supervisor, messages, wait_until

VALUE = "a value of no shape"
SAYING = f"""
    import os, pathlib
    pathlib.Path("length.txt").write_text(str(len(os.environ["THING"])))
    print("I got", os.environ["THING"], "from", os.environ["URL"], flush=True)
{LASTING}
    print("I still have", os.environ["THING"], flush=True)
"""


def test_a_service_gets_its_secrets_and_its_log_does_not(
    workspace: Workspace, declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_KEYRING", "file")
    for name in ("XDG_CONFIG_HOME", "WIN_PD_OVERRIDE_LOCAL_APPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "me"))
    workspace.secrets.put("STORED", VALUE)
    shared = {"THING": "${secret:STORED}"}
    workspace.layout.environment.write_text(json.dumps(shared), encoding="utf-8")
    declare("one", SAYING, env={"URL": "x://${THING}"}, ready={"log": "listening"})
    [found] = control.start(workspace)
    assert found.state == "ready", found.reason
    length = (workspace.layout.root / "length.txt").read_text(encoding="utf-8")
    assert length == str(len(VALUE))
    kill_supervisor(workspace)
    control.start(workspace)  # another supervisor, which did not start the service
    control.stop(workspace)
    if sys.platform != "win32":
        wait_until(lambda: len(messages(workspace, "agent-one")) >= 2, "all is in the log")
    assert "I got *** from ***" in messages(workspace, "agent-one")
    for path in workspace.layout.logs.iterdir():
        assert VALUE not in path.read_text(encoding="utf-8"), path


def test_a_service_whose_secret_is_not_here_says_so(
    workspace: Workspace, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_KEYRING", "file")
    declare("one", env={"THING": "${secret:GONE}"})
    [found] = control.start(workspace)
    assert found.state == "failed"
    assert "'GONE' is not kept on this machine" in found.reason
