"""A room that lives in the store's database beside the workflows, and a process that uses both.

Usage: ``python outbox_child.py URL`` runs or resumes a run of five steps that each put a note.
"""

import sqlite3
import sys
from contextlib import closing
from typing import Any

from holdfast.engines.identity import database_identity
from holdfast.engines.outbox import outbox_for
from holdfast.engines.urls import parse_url
from holdfast.workflows import Workflows, step, workflow

_MAKE = "CREATE TABLE IF NOT EXISTS notes (text TEXT)"


def put(url: str, text: str) -> bool:
    """Leave a note to the open outbox; False when none is open for this database."""
    outbox = outbox_for(database_identity(url))
    if outbox is not None:
        outbox.add(lambda connection: _insert(connection, text))
    return outbox is not None


def written(url: str) -> list[str]:
    """The committed notes."""
    engine = parse_url(url)
    if engine.scheme == "sqlite":
        with closing(sqlite3.connect(engine.require_path(), isolation_level=None)) as connection:
            connection.execute(_MAKE)
            return [text for (text,) in connection.execute("SELECT text FROM notes")]
    import psycopg

    with psycopg.connect(url, autocommit=True) as server:
        server.execute("SET search_path = holdfast")
        server.execute("SELECT pg_advisory_lock(1)")
        server.execute(_MAKE.encode())
        return [text for (text,) in server.execute("SELECT text FROM notes").fetchall()]


def _insert(connection: Any, text: str) -> None:
    mark = "?" if isinstance(connection, sqlite3.Connection) else "%s"
    connection.execute(_MAKE)
    connection.execute(f"INSERT INTO notes VALUES ({mark})", (text,))


@step
def note(url: str, number: int) -> None:
    assert put(url, f"note {number}")


@workflow
def five_notes(url: str) -> None:
    for number in range(5):
        note(url, number)


if __name__ == "__main__":
    with Workflows(sys.argv[1]) as engine:
        for run in engine.recover():
            run.result()
        engine.run(five_notes, (sys.argv[1],), run_id="run-1")
