"""What a killed writer left at the end of a file: kept aside, then cut off."""

from pathlib import Path

from holdfast.durable.appending import AppendFile
from holdfast.durable.faults import fault_point
from holdfast.durable.files import make_folder, read_bytes, write_atomic
from holdfast.durable.journal import parse


def cut_torn_tail(path: Path) -> int:
    """Cut the unfinished end off the journal `path`; returns how many bytes were cut.

    They stay as ``torn/<folder>-<file>-<offset>`` of the queue. The caller holds the writers' lock.
    Raises `CorruptError` naming the line when the damage is not at the end; nothing is cut then.
    """
    data = read_bytes(path)
    contents = parse(data, path)
    if contents.torn:
        folder = path.parent.parent / "torn"
        make_folder(folder)
        name = f"{path.parent.name}-{path.stem}-{contents.sound_length}"
        write_atomic(folder / name, data[contents.sound_length :], durability="process")
        fault_point("queue.torn.kept")
        file = AppendFile(path, create=False)
        try:
            file.cut(contents.sound_length)
        finally:
            file.close()
    return contents.torn
