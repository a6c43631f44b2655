"""What was said is found by text, time, role and place; what cannot be read is counted."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast.claude.transcripts import Wanted, search_transcripts

START = datetime(2026, 11, 25, 10, tzinfo=UTC)


class Sessions:
    """Writes transcripts as Claude Code does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "projects"

    def write(self, session: str, cwd: Path, said: list[tuple[str, Any]], hour: int = 0) -> Path:
        path = self.folder / "-some-slug" / f"{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"type": "summary", "summary": "About bees"})]
        for minute, (role, content) in enumerate(said):
            at = START + timedelta(hours=hour, minutes=minute)
            record = {
                "type": role,
                "cwd": str(cwd),
                "sessionId": session,
                "timestamp": at.isoformat().replace("+00:00", "Z"),
                "message": {"role": role, "content": content},
            }
            lines.append(json.dumps(record, ensure_ascii=False))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        moment = (START + timedelta(hours=hour, minutes=len(said))).timestamp()
        os.utime(path, (moment, moment))
        return path


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    return Sessions(tmp_path)


def found(sessions: Sessions, limit: int = 50, **wanted: Any) -> list[str]:
    report = search_transcripts(sessions.folder, Wanted(**wanted), limit=limit)
    assert report.complete
    return [each.text for each in report.found]


def test_by_text_role_place_and_time(sessions: Sessions, tmp_path: Path) -> None:
    root, home = tmp_path / "development", tmp_path
    tool = [{"type": "tool_use", "name": "Bash", "input": {"command": "rm -rf plan.md"}}]
    result = [{"type": "tool_result", "content": [{"type": "text", "text": "removed plan.md"}]}]
    sessions.write("a1", root / "agents", [("user", "Clean up the BEES"), ("assistant", tool)])
    sessions.write(
        "b2", home, [("user", result), ("assistant", [{"type": "text", "text": "ok"}])], 1
    )
    sessions.write("c3", tmp_path / "elsewhere", [("user", "bees elsewhere")], 2)
    sessions.write("d4", tmp_path / "development-2", [("user", "bees beside")], 3)
    places: dict[str, Any] = {"folders": (root,), "places": (home,)}
    assert found(sessions, **places, text="bees") == ["Clean up the BEES"]
    assert found(sessions, **places, text="plan.md") == [
        "removed plan.md",
        '[tool Bash] {"command":"rm -rf plan.md"}',
    ]
    assert found(sessions, **places, role="assistant")[0] == "ok"
    assert found(sessions, **places, session="a", role="user") == ["Clean up the BEES"]
    later = START + timedelta(hours=1)
    assert len(found(sessions, **places, since=later)) == 2
    assert len(found(sessions, **places, until=later)) == 2
    assert found(sessions, **places, limit=1) == ["ok"]


def test_long_texts_are_cut_around_what_was_found(sessions: Sessions, tmp_path: Path) -> None:
    sessions.write("a", tmp_path, [("user", "x" * 5_000 + "needle" + "y" * 5_000)])
    [text] = found(sessions, folders=(tmp_path,), text="NEEDLE")
    assert "needle" in text
    assert len(text) < 1_500


def test_damage_is_counted_and_the_rest_is_found(sessions: Sessions, tmp_path: Path) -> None:
    path = sessions.write("a", tmp_path, [("user", "bees")])
    with path.open("ab") as file:
        file.write(b'{"type": "user", "mess\n\0\0\0\0\n[1]\n{"type": "user", "message": 3}\n\n')
    report = search_transcripts(sessions.folder, Wanted((tmp_path,), text="bees"))
    assert [each.line for each in report.found] == [2]
    assert report.unreadable == 3
    assert search_transcripts(tmp_path / "nowhere", Wanted((tmp_path,))).found == []
    assert not search_transcripts(sessions.folder, Wanted((tmp_path,)), seconds=-1).complete
