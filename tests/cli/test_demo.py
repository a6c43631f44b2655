"""The main job: every claim of the demo holds, and a claim that does not makes it exit 1."""

import json
from pathlib import Path
from typing import Any

from tests.conftest import Runner


def facts(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return document


def test_every_claim_holds(holdfast: Runner, tmp_path: Path) -> None:
    done = holdfast("demo", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = facts(done.stdout)
    assert told["held"] is True
    assert len(told["claims"]) >= 14
    assert all(claim["held"] for claim in told["claims"])
    workspace = Path(told["workspace"])
    assert (workspace / "agents/observatory-agent/main.py").is_file()
    assert (workspace / "shared/reports/survey-demo.md").is_file()
    listed = holdfast("agents", "list", "--json", "-w", workspace)
    assert len(json.loads(listed.stdout)) == 3


def test_the_story_is_told_to_people(holdfast: Runner) -> None:
    done = holdfast("demo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "claims held." in done.stdout
    assert "Try next:" in done.stdout


def test_a_claim_that_does_not_hold_is_told(holdfast: Runner, tmp_path: Path) -> None:
    """A disk that fails in the middle of the restore."""
    done = holdfast(
        "demo", tmp_path / "demo", "--json", env={"HOLDFAST_FAULTS": "vault.restore.file=error:EIO"}
    )
    assert done.returncode == 1, done.stderr
    failed = [claim for claim in facts(done.stdout)["claims"] if not claim["held"]]
    assert failed
    assert any("restored" in claim["chapter"] for claim in failed)


def test_the_demo_does_not_touch_what_is_there(holdfast: Runner, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("precious", encoding="utf-8")
    done = holdfast("demo", tmp_path / "mine")
    assert done.returncode == 4
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
