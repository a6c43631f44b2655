"""A process that changes a registry and says after each change that it was acknowledged.

``python -m tests.registry.writer FOLDER NAME COUNT [update ID]``: adds NAME-0, NAME-1, … and, with
an id, raises its key NAME each time. Prints one id a line once its call returned.
"""

import sys
from pathlib import Path

from tests.registry.conftest import open_registry

if __name__ == "__main__":
    folder, name, count = sys.argv[1:4]
    shared = sys.argv[4] if len(sys.argv) > 4 else None
    registry = open_registry(Path(folder))
    for number in range(int(count)):
        registry.add(f"{name}-{number}", path=f"/{name}/{number}")
        if shared is not None:
            registry.update(shared, **{name: number})
        print(f"{name}-{number}", flush=True)
