"""grep | grep | jq, as people search JSON lines in a shell."""

import subprocess
from pathlib import Path


class Found:
    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self, level: str, text: str, since: str, until: str) -> int:
        wanted = f'select(.timestamp >= "{since}" and .timestamp < "{until}")'
        commands = [
            ["grep", "-F", f'"level":"{level}"', str(self._path)],
            ["grep", "-F", text],
            ["jq", "-c", wanted],
        ]
        running: list[subprocess.Popen[bytes]] = []
        for command in commands:
            source = running[-1].stdout if running else None
            running.append(subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE))
            if source is not None:
                source.close()
        answer, _ = running[-1].communicate()
        for process in running:
            process.wait()
        return answer.count(b"\n")


def connect(path: Path) -> Found:
    """The lines of `path`."""
    return Found(path)
