"""A scan of many configuration files, as a process of its own.

An adapter has ``scan(folder: Path) -> int``: it runs the command and returns how many were found.
"""

import json
import random
import string
import time
from pathlib import Path
from types import ModuleType
from typing import Any

_WORDS = ("cache", "limit", "region", "output", "worker", "timeout", "level", "driver", "path")


class Driver:
    """Runs the adapter's command on the same files again and again."""

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter

    def scan(self, folder: str, number: int, count: int) -> dict[str, Any]:
        """Scan `count` files, which the first call makes."""
        files = Path(folder) / "files"
        if number == 0:
            _make(files, count)
        started = time.perf_counter()
        found = self._adapter.scan(files)
        return {"seconds": time.perf_counter() - started, "count": found}

    def close(self) -> None:
        """Nothing runs on."""


def _make(folder: Path, count: int) -> None:
    """JSON, YAML, TOML and environment files of about 2 kB; every hundredth has a secret."""
    chance = random.Random(7)
    folder.mkdir()
    for number in range(count):
        facts = {
            f"{chance.choice(_WORDS)}_{each}": f"{chance.choice(_WORDS)}-{chance.randrange(10_000)}"
            for each in range(60)
        }
        if number % 100 == 0:
            letters = string.ascii_letters + string.digits
            facts["remote"] = "ghp_" + "".join(chance.choices(letters, k=36))
        kind = (".json", ".yaml", ".toml", ".env")[number % 4]
        separator = {".yaml": ": ", ".toml": " = ", ".env": "="}.get(kind, "")
        quote = '"' if kind == ".toml" else ""
        lines = [f"{key}{separator}{quote}{value}{quote}\n" for key, value in facts.items()]
        text = json.dumps(facts, indent=2) + "\n" if kind == ".json" else "".join(lines)
        (folder / f"settings-{number}{kind}").write_text(text, "utf-8", newline="\n")
