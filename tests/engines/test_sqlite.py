"""SQLite: whole or refused, migrated once by many, never an empty file taken for a database."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.durable.files import Durability
from holdfast.engines.sqlite import open_database, sqlite_errors, statements_of, transaction
from holdfast.errors import (
    BusyError,
    CorruptError,
    NewerFormatError,
    StorageError,
    UnreadableError,
)
from tests.conftest import SOURCE, Runner, was_killed

FIRST = "CREATE TABLE jobs (id INTEGER PRIMARY KEY, body TEXT);"
SECOND = """
-- a trigger has semicolons; so has this comment
CREATE TABLE log (text TEXT);
CREATE TRIGGER note AFTER INSERT ON jobs BEGIN
    INSERT INTO log VALUES ('job; ' || new.body);
    INSERT INTO log VALUES ('end');
END;
"""


def opened(path: Path, *migrations: str, durability: Durability = "process") -> sqlite3.Connection:
    return open_database(path, room="jobs", migrations=migrations, durability=durability)


def test_a_new_database_is_whole_and_migrated(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.db"
    with closing(opened(path, FIRST)) as one:
        one.execute("INSERT INTO jobs (body) VALUES ('a')")
        assert one.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert one.execute("PRAGMA synchronous").fetchone() == (1,)
    with closing(opened(path, FIRST, SECOND, durability="power")) as two:
        two.execute("INSERT INTO jobs (body) VALUES ('b')")
        assert two.execute("SELECT text FROM log").fetchall() == [("job; b",), ("end",)]
        assert two.execute("PRAGMA synchronous").fetchone() == (2,)
        assert two.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert two.execute("SELECT * FROM holdfast_rooms").fetchall() == [("jobs", 2)]


def test_a_newer_room_is_refused_and_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    opened(path, FIRST, SECOND).close()
    before = path.read_bytes()
    with pytest.raises(NewerFormatError, match="version 2; this Holdfast knows 1"):
        opened(path, FIRST)
    assert path.read_bytes() == before


def test_rooms_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    opened(path, FIRST, SECOND).close()
    other = open_database(path, room="runs", migrations=["CREATE TABLE runs (id TEXT)"])
    with closing(other) as connection:
        rooms = connection.execute("SELECT room, version FROM holdfast_rooms").fetchall()
    assert rooms == [("jobs", 2), ("runs", 1)]


@pytest.mark.parametrize(
    "content", [b"", bytes(8192), b"not a database " * 500, b"x", b"SQLite format 3\0\x10\0\2\2"]
)
def test_what_is_no_database_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        opened(path, FIRST)
    assert caught.value.path == path
    assert caught.value.exit_status == 3
    assert path.read_bytes() == content


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(opened(path, FIRST)) as connection:
        connection.executemany("INSERT INTO jobs (body) VALUES (?)", [("x" * 500,)] * 500)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(CorruptError), sqlite_errors(path):
        opened(path, FIRST).execute("SELECT sum(length(body)) FROM jobs").fetchall()


def test_a_lost_database_is_not_made_anew_over_its_log(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    (tmp_path / "state.db-wal").write_bytes(b"committed work")
    with pytest.raises(UnreadableError, match="write-ahead log"):
        opened(path, FIRST)
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.db-wal"]


def test_a_folder_or_a_file_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="a folder is where"):
        opened(tmp_path, FIRST)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StorageError):
        opened(tmp_path / "file" / "state.db", FIRST)


def test_a_failed_migration_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with pytest.raises(StorageError, match="syntax"):
        opened(path, FIRST, "CREATE TABLE good (x);\nCREATE TABEL bad (x);\n")
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    assert ("jobs",) not in tables
    assert ("good",) not in tables


RACE = """
import sys
from pathlib import Path
from holdfast.engines.sqlite import open_database, transaction
sys.stdin.readline()
room = "room" + str(int(sys.argv[2]) % 2)
script = f"CREATE TABLE {room} (x); INSERT INTO {room} VALUES (0);"
db = open_database(Path(sys.argv[1]), room=room, migrations=[script])
for _ in range(20):
    with transaction(db):
        (x,) = db.execute(f"SELECT x FROM {room}").fetchone()
        db.execute(f"UPDATE {room} SET x = ?", (x + 1,))
db.close()
"""


def test_eight_processes_make_and_migrate_one_database(tmp_path: Path) -> None:
    path = tmp_path / "state" / "state.db"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(path), str(number)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        for number in range(8)
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        _, complaint = worker.communicate(timeout=120)
        assert worker.returncode == 0, complaint
    with closing(sqlite3.connect(path)) as connection:
        for room in ("room0", "room1"):
            assert connection.execute(f"SELECT x FROM {room}").fetchall() == [(80,)]


@pytest.mark.parametrize("point", ["files.temporary.written", "files.replaced"])
def test_a_crash_while_making_it(tmp_path: Path, run_python: Runner, point: str) -> None:
    path = tmp_path / "state" / "state.db"
    process = run_python(
        "import io\nsys_stdin = io.StringIO('go')\nimport sys\nsys.stdin = sys_stdin\n" + RACE,
        path,
        0,
        faults=f"{point}=crash",
    )
    assert was_killed(process), process.stderr
    with closing(opened(path, FIRST)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_transactions_are_all_or_nothing(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "state.db", FIRST)) as connection:
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.executemany("INSERT INTO jobs VALUES (?, 'a')", [(1,), (2,), (1,)])
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
        with transaction(connection):
            connection.execute("INSERT INTO jobs (body) VALUES ('b')")
        assert connection.execute("SELECT body FROM jobs").fetchall() == [("b",)]


def test_a_busy_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(opened(path, FIRST)) as one, closing(opened(path, FIRST)) as two:
        two.execute("PRAGMA busy_timeout=0")
        with transaction(one), pytest.raises(BusyError), sqlite_errors(path), transaction(two):
            pass


def test_splitting_scripts() -> None:
    assert [text.strip() for text in statements_of("SELECT ';\n'; ;\n/* ; */ SELECT 2\n")] == [
        "SELECT ';\n';",
        "/* ; */ SELECT 2\n;",
    ]
    assert list(statements_of(" ;\n; ")) == []


def test_another_process_that_closes_takes_no_log_away(tmp_path: Path, run_python: Runner) -> None:
    path = tmp_path / "state.db"
    migrations = ("CREATE TABLE notes (text TEXT)",)
    connections = [open_database(path, room="notes", migrations=migrations) for _ in range(2)]
    code = """
        import sys
        from pathlib import Path
        from holdfast.engines.sqlite import open_database
        sql = ("CREATE TABLE notes (text TEXT)",)
        connection = open_database(Path(sys.argv[1]), room="notes", migrations=sql)
        print(connection.execute("SELECT count(*) FROM notes").fetchone()[0])
        connection.close()
        """
    for count in range(3):
        done = run_python(code, path)
        assert done.stdout.strip() == str(count), done.stderr
        connections[count % 2].execute("INSERT INTO notes VALUES ('kept')")
    for connection in connections:
        connection.close()
