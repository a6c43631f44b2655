"""Registering with the system: what is written is what that system takes."""

import os
import plistlib
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from xmlschema import XMLSchema

from holdfast.facade import Workspace
from holdfast.schedule.registration import cron, systemd, task_scheduler
from holdfast.schedule.registration.entry import Entry, entry_of
from tests.conftest import Runner, require_program
from tests.schedule.conftest import Chosen

ODD = Entry(
    "holdfast-odd-1a2b3c4d",
    "Holdfast: keep 100 % of it",
    ("/opt/py thon/bin/python", "-P", "-m", "holdfast", "-w", '/Users/o\'neil/50% "new" $x\\y'),
    Path("/Users/o'neil"),
)


@pytest.fixture
def workspace(scheduled: Chosen) -> Workspace:
    return scheduled()


def test_systemd_takes_the_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = require_program("systemd-analyze")
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    real = Entry(ODD.name, ODD.title, (sys.executable, *ODD.arguments[1:]), tmp_path)
    files = systemd.plan(real, tmp_path).files
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    done = subprocess.run(
        [program, "--user", "verify", *map(str, files)],
        env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "holdfast" in line]
    assert (done.returncode, ours) == (0, []), done.stderr


def test_systemd_words_are_quoted(tmp_path: Path) -> None:
    files = systemd.plan(ODD, tmp_path).files
    service = next(content for path, content in files.items() if path.suffix == ".service").decode()
    assert r'''"/Users/o'neil/50%% \"new\" $$x\\y"''' in service
    assert '"/opt/py thon/bin/python"' in service


def test_launchd_gets_a_property_list(workspace: Workspace, holdfast: Runner) -> None:
    home = workspace.layout.home
    done = holdfast(
        *("schedule", "install", "--system", "launchd", "--no-start", "-w", workspace.layout.root),
        env={"HOME": str(home), "USERPROFILE": str(home)},
    )
    assert done.returncode == 0, done.stderr
    [path] = (home / "Library" / "LaunchAgents").iterdir()
    content = plistlib.loads(path.read_bytes())
    assert content["ProgramArguments"][-3:] == ["run-due", "-w", str(workspace.layout.root)]
    assert content["StartInterval"] == 900
    done = holdfast(
        *("schedule", "uninstall", "--system", "launchd", "--no-start"),
        *("-w", workspace.layout.root),
        env={"HOME": str(home), "USERPROFILE": str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert not path.exists()


def test_cron_lines_stand_between_marks_and_others_stay() -> None:
    others = "MAILTO=me\n0 5 * * * backup"
    table = cron.without(others, ODD) + cron.lines(ODD)
    assert table.startswith(others + "\n# >>> ")
    assert cron.without(table, ODD) == others + "\n"
    assert cron.without(table + "1 1 * * * x\n", ODD) == others + "\n1 1 * * * x\n"
    line = next(line for line in table.splitlines() if line.startswith("*/15"))
    command = line.split(" ", 5)[5].removesuffix(" >/dev/null 2>&1").replace("\\%", "%")
    assert tuple(shlex.split(command)) == ODD.arguments


@pytest.mark.skipif(shutil.which("crontab") is None, reason="there is no cron here")
def test_cron_shows_the_table_it_would_have(workspace: Workspace, holdfast: Runner) -> None:
    done = holdfast(
        *("schedule", "install", "--system", "cron", "--dry-run", "-w", workspace.layout.root)
    )
    assert done.returncode == 0, done.stderr
    assert "*/15 * * * *" in done.stdout


def test_the_task_is_as_microsofts_schema_has_it(workspace: Workspace) -> None:
    schema = XMLSchema(Path(__file__).with_name("task.xsd"))
    for entry, user in ((ODD, None), (entry_of(workspace.layout), "DESK\\Corbin")):
        data = task_scheduler.task_xml(entry, Path("C:/Users/Corbin"), user)
        assert data[:2] in (b"\xff\xfe", b"\xfe\xff")
        task = ET.fromstring(data)
        schema.validate(task)
        assert task.get("version") == "1.2"
        arguments = task.find(".//{*}Arguments")
        assert arguments is not None
        assert arguments.text == subprocess.list2cmdline(entry.arguments[1:])
        users = [element.text for element in task.findall(".//{*}UserId")]
        assert users == ([user] * 2 if user else [])
        for right, wrong in (("PT15M", "PT15S"), ('"Author"', '"Nobody"'), ("Token", "Tokens")):
            refused = ET.fromstring(data.decode("utf-16").replace(right, wrong, 1))
            assert not schema.is_valid(refused), "the schema would let anything pass"


def test_a_dry_run_writes_nothing(workspace: Workspace, holdfast: Runner) -> None:
    root, home = workspace.layout.root, workspace.layout.home
    before = sorted(home.rglob("*"))
    for system in ("systemd", "launchd", "task-scheduler"):
        done = holdfast(
            *("schedule", "install", "--system", system, "--dry-run", "-w", root),
            env={"HOME": str(home), "USERPROFILE": str(home), "XDG_CONFIG_HOME": ""},
        )
        assert done.returncode == 0, done.stderr
        assert "run-due" in done.stdout
        assert "would run" in done.stdout
    assert sorted(home.rglob("*")) == before


def test_a_program_that_is_missing_is_told(workspace: Workspace, holdfast: Runner) -> None:
    root, home = workspace.layout.root, workspace.layout.home
    done = holdfast(
        *("schedule", "install", "--system", "systemd", "-w", root),
        env={"HOME": str(home), "PATH": str(home), "XDG_CONFIG_HOME": str(home / "config")},
    )
    assert done.returncode == 5
    assert "systemctl is not here" in done.stderr
