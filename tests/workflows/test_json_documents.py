"""JSON snapshots: readable at all times, refused when damaged, and only the damaged one."""

import json
from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from holdfast.durable.faults import armed
from holdfast.errors import CorruptError, NewerFormatError, StorageError, UnreadableError
from holdfast.testing.workflows import a_run
from holdfast.workflows.stores.json import JsonStore, run_file
from holdfast.workflows.stores.json.document import State, encode, read_document


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JsonStore]:
    opened = filled(tmp_path)
    yield opened
    opened.close()


def filled(folder: Path) -> JsonStore:
    """A store with two runs of a step each."""
    opened = JsonStore(folder)
    for run in ("run-1", "run-2"):
        opened.create_run(a_run(run, body=b'{"input":{"args":["bees"]}}'))
        opened.record_step(run, epoch=1, position=1, body=b'{"id":"fetch-1","result":3}')
    return opened


def positions(store: JsonStore, run: str) -> list[int]:
    return [at for at, _ in store.read_steps(run, after=0, limit=1_000_000)]


def folded(store: JsonStore, tmp_path: Path) -> Path:
    """The document of a run that is in it whole, with its step."""
    store.finish_run("run-1", epoch=1, status="succeeded", outcome=b'{"result":3}', finished=9)
    return tmp_path / "run-1.json"


def test_a_person_can_read_the_document(store: JsonStore, tmp_path: Path) -> None:
    data = json.loads((tmp_path / "run-1.json").read_text(encoding="utf-8"))
    assert (data["id"], data["status"], data["body"]["input"]["args"]) == (
        "run-1",
        "running",
        ["bees"],
    )
    data = json.loads(folded(store, tmp_path).read_text(encoding="utf-8"))
    assert (data["status"], data["outcome"], data["journal"]) == (
        "succeeded",
        {"result": 3},
        None,
    )
    assert data["steps"] == [{"position": 1, "body": {"id": "fetch-1", "result": 3}}]


def test_the_journal_is_folded_in_as_it_grows(
    store: JsonStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_file, "_LEAST_FOLD", 1_000)
    sizes = set()
    for position in range(2, 300):
        assert store.record_step("run-1", epoch=1, position=position, body=b'{"id":"step"}')
        data = json.loads((tmp_path / "run-1.json").read_text(encoding="utf-8"))
        sizes.add(len(data["steps"]))
    assert 2 < len(sizes) < 12
    assert positions(store, "run-1") == list(range(1, 300))
    assert len(list((tmp_path / "journals").glob("run-1.*"))) == 1


@pytest.mark.parametrize(
    ("find", "put", "says"),
    [
        ('"status": "succeeded",', '"status": "succeeded"', r"line 6, column .*not valid JSON"),
        ('"epoch": 1', '"epoch": "one"', r"line 9, .*Expected `int`.* at epoch"),
        ('"position": 1', '"position": true', r"Expected `int`.* at steps\.0\.position"),
        ('"name": "demo"', '"name": "demo",\n "name": "x"', "stands twice"),
        ('"id": "run-1"', '"id": "run-9"', "holds the run 'run-9'"),
    ],
)
def test_a_wrong_edit_is_refused_with_its_place_and_stops_no_other_run(
    store: JsonStore, tmp_path: Path, find: str, put: str, says: str
) -> None:
    path = folded(store, tmp_path)
    text = path.read_text(encoding="utf-8")
    assert find in text
    path.write_text(text.replace(find, put, 1), encoding="utf-8", newline="\n")
    damaged = path.read_bytes()
    for call in (
        lambda: store.read_run("run-1"),
        lambda: positions(store, "run-1"),
        lambda: store.create_run(a_run("run-1")),
        lambda: store.reopen_run("run-1", epoch=1, status="queued", drop=[]),
        lambda: store.add_signal("run-1", b"{}"),
    ):
        with pytest.raises(UnreadableError, match=says) as caught:
            call()
        assert "run-1.json" in str(caught.value)
    assert path.read_bytes() == damaged
    listed = {run.id: run.damage for run in store.list_runs()}
    assert listed["run-2"] is None
    assert "run-1.json" in (listed["run-1"] or "")
    assert store.count_runs() == {"unreadable": 1, "running": 1}
    assert store.record_step("run-2", epoch=1, position=2, body=b"{}")


def test_a_right_edit_is_taken(store: JsonStore, tmp_path: Path) -> None:
    path = folded(store, tmp_path)
    text = path.read_text(encoding="utf-8").replace('"result": 3', '"result":  4')
    path.write_text("\ufeff" + text, encoding="utf-8", newline="\r\n")
    assert list(store.read_steps("run-1", after=0, limit=9)) == [
        (1, b'{"id":"fetch-1","result":4}')
    ]


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b'{"id": "run-1", '])
def test_a_torn_document_is_never_empty(store: JsonStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run-1.json").write_bytes(content)
    with pytest.raises(UnreadableError):
        store.read_run("run-1")
    assert (tmp_path / "run-1.json").read_bytes() == content


def test_a_newer_document_is_refused(store: JsonStore, tmp_path: Path) -> None:
    path = folded(store, tmp_path)
    text = path.read_text(encoding="utf-8").replace('"formatVersion": 1', '"formatVersion": 2')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NewerFormatError, match="format 2"):
        store.read_run("run-1")


def test_a_damaged_journal_is_refused_and_a_torn_line_is_cut(tmp_path: Path) -> None:
    store = filled(tmp_path)
    (journal,) = (tmp_path / "journals").glob("run-1.*")
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"crc":"00')
    assert positions(store, "run-1") == [1]
    other = JsonStore(tmp_path)
    assert other.record_step("run-1", epoch=1, position=2, body=b"{}")
    assert positions(other, "run-1") == [1, 2]
    journal.write_bytes(whole.replace(b"fetch", b"sketc") * 2)
    with pytest.raises(CorruptError, match="line 1"):
        positions(other, "run-1")
    for opened in (store, other):
        opened.close()  # Windows removes no file that is open
    journal.unlink()
    with JsonStoreOpened(tmp_path) as other:
        with pytest.raises(UnreadableError, match="journal of this unfinished run is gone"):
            positions(other, "run-1")
        assert positions(other, "run-2") == [1]


@pytest.mark.parametrize("point", ["workflow.document.journal", "workflow.document.written"])
def test_what_a_crash_between_document_and_journal_leaves_is_harmless(
    store: JsonStore, tmp_path: Path, point: str
) -> None:
    with armed(f"{point}=error:EIO"), pytest.raises(OSError, match="fault point"):
        store.claim_run("run-1", epoch=1, owner="other")
    done = point == "workflow.document.written"
    with JsonStoreOpened(tmp_path) as other:
        assert other.record_step("run-1", epoch=2 if done else 1, position=2, body=b"{}")
        assert not store.record_step("run-1", epoch=1 if done else 2, position=3, body=b"{}")
        assert positions(other, "run-1") == [1, 2]
    assert len(list((tmp_path / "journals").glob("run-1.*"))) == 1


def test_a_full_disk_leaves_the_run_as_it_was(store: JsonStore) -> None:
    with (
        armed("journal.appended=error:ENOSPC@1"),
        pytest.raises(StorageError, match="disk is full"),
    ):
        store.record_step("run-1", epoch=1, position=2, body=b"{}")
    with armed("files.temporary.written=error:ENOSPC@1"), pytest.raises(StorageError):
        store.finish_run("run-1", epoch=1, status="failed", outcome=b"{}", finished=1)
    assert positions(store, "run-1") == [1]
    assert store.record_step("run-1", epoch=1, position=2, body=b"{}")
    assert store.finish_run("run-1", epoch=1, status="failed", outcome=b"{}", finished=1)


class JsonStoreOpened:
    """A second opening that is closed at the end."""

    def __init__(self, folder: Path) -> None:
        self._store = JsonStore(folder)

    def __enter__(self) -> JsonStore:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()


BODIES = st.binary(max_size=30) | st.sampled_from(
    [b"{}", b'{"base64":"aGk="}', b'{"a": 1}', b"1e999", b'"\xff"', b'{"a":1.50}', b"[1,"]
)


@given(body=BODIES, outcome=st.none() | BODIES, steps=st.dictionaries(st.integers(1, 9), BODIES))
def test_any_bytes_come_back_from_a_document(
    tmp_path: Path, body: bytes, outcome: bytes | None, steps: dict[int, bytes]
) -> None:
    row = a_run(body=body, outcome=outcome, signals=1)
    state = State(row, steps, [body], {"b"}, "0" * 8)
    path = tmp_path / "run-1.json"
    path.write_bytes(encode(state))
    assert read_document(path, "run-1") == state


def test_closing_twice_closes_nothing_of_anybody_else(tmp_path: Path) -> None:
    store = JsonStore(tmp_path / "json")
    store.close()
    with (tmp_path / "other").open("wb") as other:  # gets a number that the store had
        store.close()
        other.write(b"whole")
    assert (tmp_path / "other").read_bytes() == b"whole"
