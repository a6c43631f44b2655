"""The loop of a side's process: ``python -m benchmarks.serve DRIVER ADAPTER``.

DRIVER is a module of `benchmarks.drivers` whose class ``Driver(adapter)`` has the operations as
methods; ADAPTER is a module, such as ``benchmarks.peers.litequeue_queue``, that it drives.
"""

import json
import os
import sys
import traceback
from importlib import import_module
from typing import Any


def main() -> None:
    """Answer requests from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    driver = import_module(f"benchmarks.drivers.{sys.argv[1]}")
    made = driver.Driver(import_module(sys.argv[2]))
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        try:
            answer = getattr(made, request["operation"])(**request["parameters"])
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    made.close()


if __name__ == "__main__":
    main()
