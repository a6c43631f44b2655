"""Journals: any prefix reads as a prefix, any damage is told, nothing acknowledged is lost."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.durable.faults import armed
from holdfast.durable.files import Durability
from holdfast.durable.journal import JournalWriter, mend, parse, read_journal, seal, unseal
from holdfast.errors import CorruptError, NotFoundError, StorageError
from tests.conftest import Runner, was_killed

PATH = Path("queue.jsonl")
RECORDS = [b'{"n":1}', b'"two"', b"[3]"]

records = st.lists(
    st.one_of(st.integers(), st.text(max_size=30), st.lists(st.integers(), max_size=3)).map(
        lambda value: json.dumps(value).encode()
    ),
    min_size=1,
    max_size=8,
)


@given(records)
def test_records_round_trip_and_are_plain_json(written: list[bytes]) -> None:
    data = b"".join(map(seal, written))
    assert parse(data, PATH).records == written
    assert [json.loads(line)["rec"] for line in data.splitlines()] == list(map(json.loads, written))


@given(records, st.data())
def test_any_truncation_reads_as_a_prefix(written: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(map(seal, written))
    cut = draw.draw(st.integers(0, len(data)))
    found = parse(data[:cut], PATH)
    assert found.records == written[: len(found.records)]
    assert found.sound_length == sum(len(seal(record)) for record in found.records)
    assert found.sound_length + found.torn == cut
    assert len(found.records) == data[:cut].count(b"\n")


@given(records, st.data())
def test_no_flipped_byte_yields_a_wrong_record(written: list[bytes], draw: st.DataObject) -> None:
    data = bytearray(b"".join(map(seal, written)))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    try:
        found = parse(bytes(data), PATH)
    except CorruptError as error:
        refused_line = error.line
    else:
        refused_line = None
    if refused_line is not None:
        assert refused_line == bytes(data[:at]).count(b"\n") + 1
        return
    # Only a flip that looks like an unfinished write (no newline, or a NUL) may count as torn.
    assert found.torn
    assert found.records == written[: len(found.records)]
    assert len(found.records) >= len(written) - 1


@given(records, st.binary(max_size=40))
def test_blocks_never_written_are_a_torn_tail(written: list[bytes], tail: bytes) -> None:
    data = b"".join(map(seal, written))
    found = parse(data + bytes(512), PATH)
    assert (found.records, found.torn) == (written, 512)
    garbage = tail.replace(b"\n", b"")
    assert parse(data + garbage, PATH).torn == len(garbage)


def test_a_complete_line_that_is_damaged_is_never_cut(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(seal(b"1") + seal(b"2").replace(b"2}", b"3}"))
    before = path.read_bytes()
    for act in (read_journal, mend):
        with pytest.raises(CorruptError, match="line 2"):
            act(path)
    assert path.read_bytes() == before


def test_mending(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(seal(b"1") + seal(b"2")[:-3])
    assert mend(path) == len(seal(b"2")) - 3
    assert path.read_bytes() == seal(b"1")
    assert mend(path) == 0
    with pytest.raises(NotFoundError):
        mend(tmp_path / "none")


def test_records_are_one_line() -> None:
    for bad in (b"", b'{\n"a": 1}'):
        with pytest.raises(ValueError, match="one line"):
            seal(bad)
    assert unseal(seal(b"1")) == b"1"
    assert unseal(seal(b"1") + b"\n") is None


@pytest.mark.parametrize("durability", ["process", "power"])
def test_appending(tmp_path: Path, durability: Durability) -> None:
    path = tmp_path / "j"
    with JournalWriter(path, durability=durability) as first:
        first.append(*RECORDS[:2])
        first.append()
    with JournalWriter(path, durability=durability) as second:
        second.append(RECORDS[2])
    second.close()
    assert read_journal(path).records == RECORDS


def test_appending_after_another_writer_crashed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(RECORDS[0])
        with path.open("ab") as crashed:
            crashed.write(seal(RECORDS[1])[:-1])
        writer.append(RECORDS[2])
    assert read_journal(path).records == [RECORDS[0], RECORDS[2]]
    path.write_bytes(seal(b"1")[:5])
    with JournalWriter(path) as writer:
        writer.append(b"2")
    assert read_journal(path).records == [b"2"]


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_failed_append_leaves_the_file_whole(tmp_path: Path, error: str) -> None:
    path = tmp_path / "j"
    with JournalWriter(path) as writer:
        writer.append(RECORDS[0])
        with armed(f"journal.appended=error:{error}"), pytest.raises(StorageError):
            writer.append(RECORDS[1])
        writer.append(RECORDS[2])
    assert read_journal(path).records == [RECORDS[0], RECORDS[2]]


def test_a_full_disk_cuts_a_partial_write_back(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("NOT TESTED: no limit on the size of files here")
    code = """
    import resource, signal, sys
    from pathlib import Path
    from holdfast.durable.journal import JournalWriter
    from holdfast.errors import StorageError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with JournalWriter(Path(sys.argv[1])) as writer:
        writer.append(b"1")
        try:
            writer.append(b'"' + b"x" * 2000 + b'"')
        except StorageError:
            writer.append(b"2")
    """
    path = tmp_path / "j"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert read_journal(path).records == [b"1", b"2"]


def test_a_crash_after_the_write_keeps_the_record(tmp_path: Path, run_python: Runner) -> None:
    code = """
    import sys
    from pathlib import Path
    from holdfast.durable.journal import JournalWriter
    writer = JournalWriter(Path(sys.argv[1]))
    for number in range(10):
        writer.append(b"%d" % number)
    """
    path = tmp_path / "j"
    assert was_killed(run_python(code, path, faults="journal.appended=crash@4"))
    assert read_journal(path).records == [b"0", b"1", b"2", b"3"]


def test_opening_where_nothing_can_be(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        JournalWriter(tmp_path / "none" / "j")
    assert os.listdir(tmp_path) == []
