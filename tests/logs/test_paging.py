"""Logs from the newest line back: every line once, whatever its time."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.logs.lines import shown_time, visible
from holdfast.logs.paging import Place, newest_page, place_from
from holdfast.logs.query import Query
from tests.logs.test_search import T0, line, messages


def all_pages(folder: Path, query: Query, rows: int) -> list[str]:
    found: list[str] = []
    place: Place | None = None
    while True:
        page = newest_page(folder, query, rows, place)
        found += messages(page.records)
        assert len(page.records) == rows or page.older is None
        if page.older is None:
            return found
        place = place_from(str(page.older))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 4) | st.integers(0, 90_000_000), max_size=25),
    st.integers(1, 7),
)
def test_the_pages_together_hold_each_line_once(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], rows: int
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    lines = [line(second, f"m{number}") for number, second in enumerate(times)]
    (folder / "a.log").write_bytes(b"".join(lines[::2]))
    (folder / "b.log").write_bytes(b"".join(lines[1::2]))
    assert sorted(all_pages(folder, Query(), rows)) == sorted(f"m{n}" for n in range(len(times)))
    newest = [times[int(message[1:])] for message in all_pages(folder, Query(), rows)]
    assert newest == sorted(times, reverse=True)


def test_the_conditions_hold_on_each_page(tmp_path: Path) -> None:
    content = b"".join(line(n * 3600, f"m{n}", level=("INFO", "ERROR")[n % 2]) for n in range(200))
    (tmp_path / "a.log").write_bytes(content)
    query = Query(level="ERROR", since=T0 + timedelta(hours=50), until=T0 + timedelta(hours=150))
    assert all_pages(tmp_path, query, 7) == [f"m{n}" for n in range(149, 50, -2)]


def test_lines_that_cannot_be_read_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(line(0) + b"plain text\n" + line(1)[:20] + b"\n" + line(2))
    page = newest_page(tmp_path, Query(), 10)
    assert (len(page.records), page.unreadable) == (2, 2)


@pytest.mark.parametrize("text", ["", "yesterday~1", "2025-01-20T10:30:00Z", "2025-01-20~x"])
def test_a_place_that_is_none_is_told_so(text: str) -> None:
    with pytest.raises(UsageError):
        place_from(text)


def test_what_steers_a_terminal_is_made_visible() -> None:
    assert visible("a\x1b[31m\n\u202eb") == "a\\x1b[31m\\n\\u202eb"
    assert shown_time("2025-01-20T10:30:00.123456789").endswith(":00.123")
