"""DuckDB, reading the JSON lines where they are."""

from pathlib import Path

import duckdb

_COLUMNS = "{timestamp: 'VARCHAR', level: 'VARCHAR', message: 'VARCHAR'}"
_QUERY = (
    f"SELECT count(*) FROM read_json(?, format = 'newline_delimited', columns = {_COLUMNS})"
    " WHERE level = ? AND contains(message, ?) AND timestamp >= ? AND timestamp < ?"
)


class Found:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = duckdb.connect()

    def count(self, level: str, text: str, since: str, until: str) -> int:
        answer = self._connection.execute(_QUERY, [str(self._path), level, text, since, until])
        row = answer.fetchone()
        assert row is not None
        return int(row[0])


def connect(path: Path) -> Found:
    """The lines of `path`."""
    return Found(path)
