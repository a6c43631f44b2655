"""Kills a writer of a guest's file at random instants: ``python kills.py FILE ROUNDS LOCK``.

Each round a forked writer puts twenty servers in and takes them out, on and on, until it is killed;
then the file must be one of the two versions. Where there is no fork, a process is started anew.
"""

import itertools
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from holdfast.claude.guest_file import GuestFile, Put, Remove

BEFORE = b'{\n  "kept": [1.0, 2],\n  "mcpServers": {\n    "mine": {}\n  }\n}'


def write_for_ever(path: Path, lock: str) -> None:
    file = GuestFile(path, lock="folder" if lock == "folder" else "none")
    puts = [Put(("mcpServers", f"s{number}"), {"command": "x" * 50}) for number in range(20)]
    for number in itertools.count():
        file.edit([Remove(put.keys) for put in puts] if number % 2 else puts)


def main() -> None:
    path, rounds, lock = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    if rounds == 0:
        print("ready", flush=True)
        write_for_ever(path, lock)
    after = (
        GuestFile(path, lock="none")
        .edit([Put(("mcpServers", f"s{number}"), {"command": "x" * 50}) for number in range(20)])
        .after
    )
    seen = set()
    for _ in range(rounds):
        kill_one(path, lock)
        content = path.read_bytes()
        assert content in (BEFORE, after), content
        seen.add(content)
        left = path.with_name(path.name + ".lock")
        if left.exists():
            left.rmdir()
    print(len(seen), "versions seen")


if sys.platform == "win32":

    def kill_one(path: Path, lock: str) -> None:
        command = [sys.executable, __file__, str(path), "0", lock]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(random.uniform(0, 0.01))
            writer.kill()

else:
    import signal

    def kill_one(path: Path, lock: str) -> None:
        writer = os.fork()
        if writer == 0:
            write_for_ever(path, lock)
        time.sleep(random.uniform(0, 0.01))
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


if __name__ == "__main__":
    main()
