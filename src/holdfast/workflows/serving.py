"""A worker process: `Workflows.work` until the process is asked to end."""

import signal
import sys
import threading

from holdfast.durable.files import Durability
from holdfast.workflows.engine import Workflows

_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    _SIGNALS.append(signal.SIGBREAK)  # what `holdfast stop` sends there


def serve(url: str, *, durability: Durability, poll: float, threads: int) -> None:
    """Work on the store at `url` until SIGINT or SIGTERM (Windows: or SIGBREAK).

    The steps under way are then finished; their runs go on in the next worker. A second signal ends
    the process at once.
    """
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _SIGNALS}
    engine = Workflows(url, durability=durability, threads=threads)
    try:
        engine.work(stop, poll=poll, load=True)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        engine.put_down()
        engine.close()
