"""Surveys: the last answer is kept, what went wrong is told, the page's end ends them."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.web.surveys import Survey, Surveys

PROGRAM = """
import pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
with (folder / "asked").open("a") as asked:
    asked.write("x")
if (folder / "wait").exists():
    time.sleep(600)
sys.stderr.write((folder / "wrong").read_text() if (folder / "wrong").exists() else "")
print((folder / "answer").read_text())
"""


@pytest.fixture
def surveys(tmp_path: Path) -> Iterator[Surveys]:
    def spawn(line: Sequence[str], stderr: int) -> "subprocess.Popen[bytes]":
        assert line == ["count", "--json"]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, tmp_path], stdout=subprocess.PIPE, stderr=stderr
        )

    made = Surveys(spawn)
    yield made
    made.end()


def ended(surveys: Surveys, since: datetime | None = None) -> Survey[list[int]]:
    survey = surveys.get(["count"], list[int], since=since)
    for thread in list(surveys._working):
        thread.join(60)
    assert not survey.running
    return survey


def test_an_answer_is_kept_until_it_is_too_old(surveys: Surveys, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text("[1, 2]")
    before = surveys.changes
    survey = ended(surveys)
    assert survey.answer == [1, 2]
    assert survey.answered_for is not None
    assert surveys.changes > before
    ended(surveys, since=survey.answered_for)
    assert (tmp_path / "asked").read_text() == "x"

    (tmp_path / "answer").write_text("[3]")
    assert ended(surveys, since=datetime.now(UTC)).answer == [3]
    assert (tmp_path / "asked").read_text() == "xx"


def test_what_went_wrong_is_told_beside_the_last_answer(surveys: Surveys, tmp_path: Path) -> None:
    (tmp_path / "answer").write_text("[1]")
    answered = ended(surveys).answered_for
    for said, wrong, problem in (
        ("", '{"error": {"message": "torn", "path": "a.json", "hint": null}}', "torn a.json"),
        ('["no number"]', "Traceback", "Traceback"),
        ("", "", "it ended with 0"),
    ):
        (tmp_path / "answer").write_text(said)
        (tmp_path / "wrong").write_text(wrong)
        surveys.renew(["count"], list[int])
        survey = ended(surveys)
        assert (survey.answer, survey.answered_for, survey.problem) == ([1], answered, problem)


def test_what_is_being_asked_is_asked_once_and_ended(surveys: Surveys, tmp_path: Path) -> None:
    (tmp_path / "wait").touch()
    survey = surveys.get(["count"], list[int])
    surveys.renew(["count"], list[int])
    assert survey.running
    assert len(surveys._working) == 1
    surveys.end()
    assert not survey.running
    assert surveys._working == {}
