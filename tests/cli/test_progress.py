"""Progress: how much, how fast, how long; for people, and as lines of text in a pipe."""

import pytest

from holdfast.cli import progress
from holdfast.cli.progress import Bar, progress_text
from holdfast.cli.terminal import Terminal


@pytest.mark.parametrize(
    ("expected", "seconds", "text"),
    [
        (0, 2.0, "1,234 done, 50.0 MB, 25.0 MB/s"),
        (200_000_000, 2.0, "1,234 done, 50.0 MB of 200.0 MB (25 %), 25.0 MB/s, 6 s left"),
        (200_000_000, 60.0, "1,234 done, 50.0 MB of 200.0 MB (25 %), 833.3 kB/s, 3 min 00 s left"),
        (50_000_000_000, 10.0, "1,234 done, 50.0 MB of 50.0 GB (0 %), 5.0 MB/s, 2 h 46 min left"),
        (40_000_000, 2.0, "1,234 done, 50.0 MB, 25.0 MB/s"),  # more than was expected
    ],
)
def test_the_text(expected: int, seconds: float, text: str) -> None:
    assert progress_text(1234, 50_000_000, expected, seconds) == text


def test_in_a_pipe_it_is_plain_lines_and_with_json_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY_IN_A_PIPE", 0.0)
    for as_json in (False, True):
        with Bar("Drill", Terminal(json=as_json, folder=None)) as bar:
            bar.update(1, 1000, 4000)
    error = capsys.readouterr().err
    assert error.startswith("Drill: 1 done, 1.0 kB of 4.0 kB (25 %)")
    assert error.count("\n") == 1
