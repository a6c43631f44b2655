"""A workflow that people watch: it waits where the test says so, and fails when the test says so.

It is put into a workspace as a file, ``survey.py``, and run by the real command.
"""

import time
from pathlib import Path

from holdfast.logs import get_logger
from holdfast.workflows import step, workflow

HERE = Path(__file__).parent


@step
def list_sources(topic: str) -> list[str]:
    get_logger("survey").info("Looking for sources", topic=topic)
    return [f"{topic}-{n}" for n in range(3)]


@step(retries=2)
def read_source(source: str) -> int:
    flag = HERE / f"{source}.flaky"
    if flag.exists():
        flag.unlink()
        raise ValueError(f"{source} was not there at first")
    time.sleep(0.05)
    return len(source)


@step
def wait_for_file(name: str) -> str:
    while not (HERE / name).exists():
        time.sleep(0.02)
    return name


@step
def publish(total: int) -> dict[str, int]:
    if (HERE / "offline").exists():
        raise ConnectionError("the site is <b>offline</b>")
    return {"published": total}


@workflow
def survey(topic: str, gate: str = "") -> dict[str, int]:
    """Read all sources at once, wait at the gate if there is one, publish."""
    sizes = read_source.map(list_sources(topic))
    if gate:
        wait_for_file(gate)
    return publish(sum(sizes))
