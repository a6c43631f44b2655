"""Files that were torn, damaged, written by a newer Holdfast, or cannot be written."""

import json
import os
import sys
from pathlib import Path

import pytest

from holdfast.durable.faults import armed
from holdfast.durable.journal import seal, unseal
from holdfast.errors import (
    ConflictError,
    CorruptError,
    NewerFormatError,
    StorageError,
    UnreadableError,
    UsageError,
)
from holdfast.queues import Queue, list_queues
from holdfast.queues.stores.file import LEDGER_BYTES, SEGMENT_BYTES, FileQueueStore


def open_queue(
    folder: Path, *, segment_bytes: int = SEGMENT_BYTES, ledger_bytes: int = LEDGER_BYTES
) -> Queue:
    store = FileQueueStore(folder / "q", segment_bytes=segment_bytes, ledger_bytes=ledger_bytes)
    return Queue("q", store=store, lease=60)


def messages(folder: Path) -> Path:
    return folder / "q" / "messages" / "00000001.jsonl"


def ledger(folder: Path) -> Path:
    return folder / "q" / "ledger" / "00000001.jsonl"


def filled(folder: Path, count: int = 4) -> None:
    """A queue with `count` messages, the first acknowledged and the second leased."""
    with open_queue(folder) as queue:
        queue.put_many(range(count))
        queue.take()[0].ack()
        queue.take()


def test_the_journal_can_be_read_without_holdfast(tmp_path: Path) -> None:
    filled(tmp_path)
    lines = messages(tmp_path).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line)["rec"] for line in lines]
    assert records[0] == {"segment": 1, "formatVersion": 1, "n": 0}
    assert [record["msg"]["body"] for record in records[1:]] == [0, 1, 2, 3]
    changes = ledger(tmp_path).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["rec"][0] for line in changes] == ["state", "take", "ack", "take"]


def test_messages_torn_at_every_byte_are_cut_and_reported(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        queue.put("whole")
        sound = messages(tmp_path).stat().st_size
        queue.put("torn")
    data = messages(tmp_path).read_bytes()
    for end in range(sound, len(data), 7):
        messages(tmp_path).write_bytes(data[:end])
        with open_queue(tmp_path) as queue:
            assert [message.body for message in queue.peek(9)] == ["whole"]
            assert queue.stats().recovered == end - sound
            queue.put("next")
            assert [message.body for message in queue.peek(9)] == ["whole", "next"]
    kept = tmp_path / "q" / "torn" / f"messages-00000001-{sound}"
    assert data.endswith(b"\n")
    assert data[sound:].startswith(kept.read_bytes())


def test_a_ledger_torn_at_every_byte_is_cut_and_reported(tmp_path: Path) -> None:
    filled(tmp_path)
    data = ledger(tmp_path).read_bytes()
    lines = data.splitlines(keepends=True)
    sound = len(data) - len(lines[-1])  # the second take is torn: that message is ready again
    for end in range(sound, len(data), 5):
        ledger(tmp_path).write_bytes(data[:end])
        with open_queue(tmp_path) as queue:
            assert [message.body for message in queue.take(9)] == [1, 2, 3]
            assert queue.stats().recovered == end - sound


def test_a_tail_of_nuls_is_cut(tmp_path: Path) -> None:
    filled(tmp_path)
    for path in (messages(tmp_path), ledger(tmp_path)):
        path.write_bytes(path.read_bytes() + bytes(5000))
    with open_queue(tmp_path) as queue:
        queue.put(4)
        assert [message.body for message in queue.take(9)] == [2, 3, 4]
        assert queue.stats().recovered == 10_000


@pytest.mark.parametrize("line", [2, 3, 4])
def test_damage_before_the_end_is_an_error_naming_the_line(tmp_path: Path, line: int) -> None:
    with open_queue(tmp_path) as queue:
        queue.put_many(range(5))
    lines = messages(tmp_path).read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"body":', b'"b0dy":')
    damaged = b"".join(lines)
    messages(tmp_path).write_bytes(damaged)
    with open_queue(tmp_path) as queue:
        before = queue.take(line - 2) if line > 2 else []
        assert [message.body for message in before] == list(range(line - 2))
        with pytest.raises(CorruptError, match=f"00000001.jsonl: line {line}, column 1"):
            queue.take()
        queue.put("later")
    assert messages(tmp_path).read_bytes().startswith(damaged)


def test_a_damaged_ledger_is_an_error_and_stays(tmp_path: Path) -> None:
    filled(tmp_path)
    damaged = ledger(tmp_path).read_bytes().replace(b'["ack",1]', b'["ack",2]')
    ledger(tmp_path).write_bytes(damaged)
    for _ in range(2):
        with open_queue(tmp_path) as queue, pytest.raises(CorruptError, match="line 3"):
            queue.take()
    assert ledger(tmp_path).read_bytes() == damaged


@pytest.mark.parametrize(
    "record",
    [b"[]", b"{}", b"3", b'["ack",77]', b'["take",1]', b'["state",{}]', b'["put",1]'],
)
def test_a_ledger_record_of_the_wrong_shape_is_unreadable(tmp_path: Path, record: bytes) -> None:
    filled(tmp_path)
    with ledger(tmp_path).open("ab") as file:
        file.write(seal(record))
    with open_queue(tmp_path) as queue, pytest.raises(UnreadableError, match="ledger"):
        queue.take()


def test_an_empty_ledger_is_not_an_empty_queue(tmp_path: Path) -> None:
    filled(tmp_path)
    ledger(tmp_path).write_bytes(b"")
    with open_queue(tmp_path) as queue, pytest.raises(UnreadableError, match="no checkpoint"):
        queue.take()


def test_a_missing_segment_is_an_error(tmp_path: Path) -> None:
    with open_queue(tmp_path, segment_bytes=100) as queue:
        for number in range(9):
            queue.put(number)
    messages(tmp_path).unlink()
    with open_queue(tmp_path) as queue, pytest.raises(UnreadableError, match="missing"):
        queue.take()


def test_what_a_newer_holdfast_wrote_is_refused(tmp_path: Path) -> None:
    for name, path, old, new in (
        ("meta", Path("queue.json"), b'"formatVersion": 1', b'"formatVersion": 2'),
        ("line", Path("messages/00000001.jsonl"), b'"formatVersion":1', b'"formatVersion":2'),
        ("state", Path("ledger/00000001.jsonl"), b'"formatVersion":1', b'"formatVersion":2'),
        ("kind", Path("ledger/00000001.jsonl"), b'["ack",1]', b'["frobnicate"]'),
    ):
        folder = tmp_path / name
        filled(folder)
        target = folder / "q" / path
        lines = target.read_bytes().splitlines(keepends=True)
        if path.suffix == ".jsonl":
            records = [unseal(line) or b"" for line in lines]
            lines = [seal(record.replace(old, new)) for record in records]
        else:
            lines = [line.replace(old, new) for line in lines]
        target.write_bytes(b"".join(lines))
        if name == "line":  # otherwise the cursor is beyond the header already
            (folder / "q" / "ledger" / "00000001.jsonl").unlink()
        content = target.read_bytes()
        with pytest.raises(NewerFormatError, match="upgrade"), open_queue(folder) as queue:
            queue.take()
        assert target.read_bytes() == content


@pytest.mark.parametrize("point", ["queue.append", "queue.ledger.append", "queue.segment.rolled"])
def test_a_full_disk_leaves_the_queue_whole(tmp_path: Path, point: str) -> None:
    with open_queue(tmp_path, segment_bytes=1) as queue:
        for number in range(3):
            queue.put(number)

        def fill() -> None:
            queue.put("no room")
            queue.take()

        with armed(f"{point}=error:ENOSPC"), pytest.raises(StorageError, match="free some space"):
            fill()
        queue.put("room again")
        bodies = [message.body for message in queue.take(9)]
        assert [body for body in bodies if body != "no room"] == [0, 1, 2, "room again"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions do not bind")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError):
            open_queue(tmp_path)
    finally:
        tmp_path.chmod(0o700)


def test_messages_lost_in_a_power_cut_do_not_hide_later_ones(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        queue.put("first")
        short = messages(tmp_path).read_bytes()
        queue.put_many(["lost"] * 5)
        queue.ack(*(message.receipt for message in queue.take(9)))
    messages(tmp_path).write_bytes(short)  # the ledger reached the disk, these messages did not
    with open_queue(tmp_path) as queue:
        queue.put("after")
        (message,) = queue.take(9)
        assert message.body == "after"
        message.ack()


def test_settled_segments_go_and_a_straggler_is_carried_over(tmp_path: Path) -> None:
    with open_queue(tmp_path, segment_bytes=2000, ledger_bytes=2000) as queue:
        queue.put("straggler")
        (straggler,) = queue.take(lease=1000)
        for number in range(300):
            queue.put(number)
            queue.take()[0].ack()
    assert len(list((tmp_path / "q" / "messages").iterdir())) < 5
    assert len(list((tmp_path / "q" / "ledger").iterdir())) == 1
    assert not messages(tmp_path).exists()
    with open_queue(tmp_path) as queue:
        straggler = queue.take()[0] if queue.stats().ready else straggler
        queue.nack(straggler.receipt)
        assert queue.take()[0].body == "straggler"


def test_queues_are_listed_and_opened_by_url(tmp_path: Path) -> None:
    url = f"file://{tmp_path.as_uri().removeprefix('file://')}/queues"
    assert list_queues(url) == []
    for name in ("b", "a"):
        with Queue(name, url=url) as queue:
            queue.put(name)
    assert list_queues(url) == ["a", "b"]
    for bad in ("../x", "", "a/b"):
        with pytest.raises(UsageError):
            Queue(bad, url=url)
    with pytest.raises(UsageError, match="power cut"):
        Queue("a", durability="power")
    with pytest.raises(UsageError):
        Queue("a", url="json:///tmp/x")


def test_queues_in_memory_are_shared_by_name() -> None:
    one, two = Queue("shared"), Queue("shared")
    one.put(1)
    (message,) = two.take()
    with pytest.raises(ConflictError):
        Queue("another").ack(message.receipt)
    one.ack(message.receipt)
    del one, two, message
    assert Queue("shared").peek() == []
