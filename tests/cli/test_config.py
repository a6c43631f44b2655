"""``holdfast config`` as people and programs use it."""

import json
from pathlib import Path

import pytest

from tests.conftest import Runner


@pytest.fixture
def root(holdfast: Runner, tmp_path: Path) -> Path:
    assert holdfast("init", "development", "--home", tmp_path).returncode == 0
    return tmp_path / "development"


def settings_file(root: Path) -> Path:
    return root / "configs" / "holdfast.json"


def test_every_value_says_where_it_comes_from(holdfast: Runner, root: Path) -> None:
    settings_file(root).write_text('{"queues": {"url": "memory://"}}', encoding="utf-8")
    arguments = ("config", "show", "--origin", "--json", "--set", "events.durability=power")
    done = holdfast(*arguments, cwd=root, env={"HOLDFAST_QUEUES_DURABILITY": "power"})
    rows = {row["key"]: row for row in json.loads(done.stdout)}
    origins = {key: row["origin"] for key, row in rows.items()}
    assert origins["queues.url"] == "workspace"
    assert origins["queues.durability"] == "environment"
    assert origins["events.durability"] == "command line"
    assert origins["workflows.url"] == "default"
    assert Path(rows["queues.url"]["place"]) == settings_file(root)


def test_passwords_are_not_shown(holdfast: Runner, root: Path) -> None:
    url = "postgresql://me:s3cret@localhost/db"
    done = holdfast("config", "get", "queues.url", "--set", f"queues.url={url}", cwd=root)
    assert done.stdout.strip() == "postgresql://me:***@localhost/db"


def test_set_changes_one_value_and_nothing_else(holdfast: Runner, root: Path) -> None:
    text = '{\n    "$comment": "mine",\n\n    "queues": {"url": "memory://"}\n}'
    settings_file(root).write_text(text, encoding="utf-8")
    done = holdfast("config", "set", "queues.url", "file:///srv/queues", cwd=root)
    assert done.returncode == 0, done.stderr
    changed = settings_file(root).read_text(encoding="utf-8")
    assert changed == text.replace("memory://", "file:///srv/queues")


def test_set_makes_the_file_and_get_reads_it(holdfast: Runner, root: Path, tmp_path: Path) -> None:
    holdfast("config", "set", "--home", "events.durability", "power", cwd=root)
    assert json.loads((tmp_path / ".holdfast.json").read_text("utf-8")) == {
        "events": {"durability": "power"}
    }
    assert holdfast("config", "get", "events.durability", cwd=root).stdout.strip() == "power"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [("quues.url", "memory://", "queues.url"), ("queues.durability", "eternal", "eternal")],
)
def test_what_cannot_be_set_is_refused(
    holdfast: Runner, root: Path, key: str, value: str, said: str
) -> None:
    done = holdfast("config", "set", key, value, cwd=root)
    assert done.returncode == 2
    assert said in done.stderr
    assert not settings_file(root).exists()


def test_validate_names_file_line_and_key(holdfast: Runner, root: Path) -> None:
    assert holdfast("config", "validate", cwd=root).returncode == 0
    settings_file(root).write_text('{\n  "queues": {"durabilty": "power"}\n}', encoding="utf-8")
    done = holdfast("config", "validate", cwd=root)
    assert done.returncode == 3
    assert "holdfast.json: line 2, column 14" in done.stdout
    assert "'queues.durability' is meant" in done.stdout


def test_path_tells_the_files(holdfast: Runner, root: Path) -> None:
    rows = json.loads(holdfast("config", "path", "--json", cwd=root).stdout)
    assert [row["layer"] for row in rows] == ["home", "claude", "workspace"]


def test_what_the_workspace_could_not_be_opened_with_is_refused(
    holdfast: Runner, root: Path
) -> None:
    done = holdfast("config", "set", "queues.url", "nothing://here", "-w", root)
    assert done.returncode == 2
    assert holdfast("status", "-w", root).returncode == 0

    path = root / "configs" / "holdfast.json"
    path.write_text('{"queues": {"url": "nothing://here"}, "undo": {"keepDays": 3}}', "utf-8")
    found = holdfast("config", "validate", "-w", root)
    assert found.returncode == 2
    assert "nothing" in found.stdout
    # What is wrong already does not keep anything from being mended.
    assert holdfast("config", "set", "undo.keepDays", "4", "-w", root).returncode == 0
    assert holdfast("config", "set", "queues.url", "memory://", "-w", root).returncode == 0
    assert holdfast("config", "validate", "-w", root).returncode == 0
