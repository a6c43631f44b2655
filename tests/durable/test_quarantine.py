"""Quarantine: nothing is lost between its two places, nothing is overwritten."""

import os
import sys
from pathlib import Path

import pytest

from holdfast.durable.files import is_temporary
from holdfast.durable.names import long_path
from holdfast.durable.quarantine import Quarantine
from holdfast.errors import (
    ConflictError,
    NotFoundError,
    StorageError,
    UnreadableError,
    UsageError,
)
from tests.conftest import Runner, was_killed

ACT = """
import sys
from pathlib import Path
from holdfast.durable.quarantine import Quarantine
store = Quarantine(Path(sys.argv[1]))
if sys.argv[2] == "take":
    store.take(Path(sys.argv[3]), reason="test")
elif sys.argv[2] == "restore":
    store.restore(store.list_entries()[0].id)
else:
    store.empty()
"""


@pytest.fixture
def store(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "quarantine")


@pytest.fixture
def thing(tmp_path: Path) -> Path:
    thing = tmp_path / "thing"
    (thing / "below").mkdir(parents=True)
    (thing / "below" / "file").write_bytes(b"content")
    return thing


def test_there_and_back(store: Quarantine, thing: Path) -> None:
    assert store.list_entries() == []
    entry = store.take(thing, reason="in the way")
    assert not thing.exists()
    assert store.list_entries() == [entry]
    assert (entry.origin, entry.reason) == (str(thing), "in the way")
    assert store.restore(entry.id) == thing
    assert (thing / "below" / "file").read_bytes() == b"content"
    assert store.list_entries() == []
    assert os.listdir(store.root) == []


@pytest.mark.parametrize("act", ["take", "restore"])
@pytest.mark.parametrize(
    "point",
    [
        *("files.temporary.written", "files.replaced"),
        *("quarantine.noted", "quarantine.taken", "quarantine.restored"),
    ],
)
def test_after_a_crash_the_thing_is_in_exactly_one_place(
    store: Quarantine, thing: Path, run_python: Runner, act: str, point: str
) -> None:
    if act == "restore":
        store.take(thing, reason="test")
    trace = thing.parent / "trace"
    done = run_python(ACT, store.root, act, thing, faults=f"{point}=crash", trace=trace)
    if point not in trace.read_text().split():
        assert done.returncode == 0, done.stderr
        return
    assert was_killed(done)
    entries = store.list_entries()
    assert len(entries) + thing.exists() == 1
    if entries:
        store.restore(entries[0].id)
    assert (thing / "below" / "file").read_bytes() == b"content"


def test_a_crash_while_emptying_leaves_nothing_to_restore(
    store: Quarantine, thing: Path, run_python: Runner
) -> None:
    store.take(thing, reason="test")
    assert was_killed(run_python(ACT, store.root, "empty", faults="quarantine.leaving=crash"))
    assert store.list_entries() == []
    assert all(is_temporary(name) for name in os.listdir(store.root))
    left = store.root / os.listdir(store.root)[0]
    os.utime(left, (0, 0))
    assert store.empty() == []
    assert os.listdir(store.root) == []


def test_restoring_overwrites_nothing(store: Quarantine, thing: Path, tmp_path: Path) -> None:
    entry = store.take(thing, reason="x")
    thing.mkdir()
    with pytest.raises(ConflictError):
        store.restore(entry.id)
    assert os.listdir(thing) == []
    other = tmp_path / "new" / "place"
    assert store.restore(entry.id, to=other) == other
    assert (other / "below" / "file").exists()


def test_a_taken_file_name_is_kept(store: Quarantine, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    entry = store.take(path, reason="x")
    path.write_bytes(b"new")
    with pytest.raises(ConflictError):
        store.restore(entry.id)
    assert path.read_bytes() == b"new"
    assert store.list_entries() == [entry]


def test_links_are_taken_not_what_they_lead_to(store: Quarantine, thing: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("NOT TESTED: making links needs a privilege on Windows")
    link = thing.parent / "link"
    link.symlink_to("none")
    entry = store.take(link, reason="x")
    assert not os.path.lexists(link)
    store.restore(entry.id)
    assert os.readlink(link) == "none"


def test_emptying_by_age(store: Quarantine, thing: Path) -> None:
    entry = store.take(thing, reason="x")
    assert store.list_entries(older_than=3600) == []
    assert store.empty(older_than=3600) == []
    assert store.empty() == [entry]
    assert os.listdir(store.root) == []
    with pytest.raises(NotFoundError):
        store.restore(entry.id)


def test_a_clock_set_back_hides_nothing(store: Quarantine, thing: Path) -> None:
    entry = store.take(thing, reason="x")
    note = store.root / entry.id / "entry.json"
    note.write_text(
        note.read_text().replace(f'"takenAt": "{entry.taken_at.year}', '"takenAt": "2999')
    )
    assert [found.id for found in store.list_entries()] == [entry.id]
    assert store.empty(older_than=1) == []


def test_an_unreadable_note_is_told(store: Quarantine, thing: Path) -> None:
    entry = store.take(thing, reason="x")
    note = store.root / entry.id / "entry.json"
    note.write_bytes(b'{"id": ')
    with pytest.raises(UnreadableError):
        store.list_entries()
    with pytest.raises(UnreadableError):
        store.empty()
    assert (store.root / entry.id / "item" / "below" / "file").exists()
    note.unlink()
    with pytest.raises(NotFoundError):
        store.list_entries()


def test_a_refused_move_leaves_no_trace(store: Quarantine, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        store.take(tmp_path / "none", reason="x")
    with pytest.raises(StorageError):
        store.take(tmp_path, reason="a folder cannot move into itself")
    assert store.list_entries() == []
    assert not store.root.exists() or os.listdir(store.root) == []


@pytest.mark.parametrize("bad", ["", "..", "../thing", "a/b", ".hidden"])
def test_ids_lead_nowhere_else(store: Quarantine, thing: Path, bad: str) -> None:
    with pytest.raises(UsageError):
        store.restore(bad)


def test_names_that_are_no_text(store: Quarantine, tmp_path: Path) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("NOT TESTED: names are always text here")
    path = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9"))
    path.write_bytes(b"x")
    entry = store.take(path, reason="x")
    assert store.list_entries() == [entry]
    assert store.restore(entry.id) == path


def test_many_things_are_one_entry_and_go_back_to_their_places(
    store: Quarantine, tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    (folder / "deep").mkdir(parents=True)
    for name in ("one", "two", "deep/three"):
        (folder / name).write_text(name)
    collection = store.collect(folder, reason="replaced")
    assert store.list_entries() == []
    for name in ("one", "deep"):
        collection.take(folder / name)
    with pytest.raises(NotFoundError):
        collection.take(folder / "none")
    assert store.list_entries() == [collection.entry]
    (folder / "one").write_text("new")
    with pytest.raises(ConflictError, match="one"):
        store.restore(collection.entry.id)
    assert not (folder / "deep").exists()
    (folder / "one").unlink()
    assert store.restore(collection.entry.id) == folder
    assert (folder / "one").read_text() == "one"
    assert (folder / "deep" / "three").read_text() == "deep/three"
    assert store.list_entries() == []


def test_a_collection_to_another_place(store: Quarantine, thing: Path, tmp_path: Path) -> None:
    collection = store.collect(thing.parent, reason="replaced")
    collection.take(thing)
    elsewhere = tmp_path / "elsewhere"
    assert store.restore(collection.entry.id, to=elsewhere) == elsewhere
    assert (elsewhere / thing.name).exists()
    assert not thing.exists()


def test_the_long_form_of_windows_is_not_kept(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine")
    path = tmp_path / "a" / "file"
    path.parent.mkdir()
    path.write_text("x", encoding="utf-8")
    entry = quarantine.take(long_path(path), reason="test")
    assert entry.origin == str(path)
    path.write_text("y", encoding="utf-8")
    collection = quarantine.collect(long_path(path.parent), reason="test")
    collection.take(long_path(path))
    assert collection.entry.origin == str(path.parent)
