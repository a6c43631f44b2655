"""A client's file read, changed and written as a whole: no lock, all of its layout made anew."""

import json
import os
from pathlib import Path
from typing import Any


def sync(path: Path, servers: dict[str, Any]) -> None:
    """Write `servers`."""
    data = json.loads(path.read_bytes())
    data["mcpServers"].update(servers)
    with path.open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
