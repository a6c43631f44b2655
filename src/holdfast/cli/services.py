"""``holdfast start``, ``stop``, ``restart``, ``ps``: agents and servers that are kept running."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from holdfast.cli.terminal import Terminal, command
from holdfast.workspace.sizes import readable_size

if TYPE_CHECKING:
    from holdfast.services.control import ServiceStatus

_NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
_LIMIT = click.option(
    "--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait for all."
)


@command(
    None,
    "start",
    examples=["holdfast start", "holdfast start director-agent", "holdfast start --timeout 120"],
)
@_NAMES
@_LIMIT
def start(terminal: Terminal, names: tuple[str, ...], timeout: float) -> int:
    """Start all services, or some, with what they depend on; returns when they are ready.

    A service is an agent or server whose registry entry has the key "service", for example
    {"ready": {"port": 8080}, "dependsOn": ["ledger"]}; {} is enough. They are kept running by a
    supervisor in the background, and their output is in logs/agent-NAME.log.
    """
    from holdfast.services import control

    found = control.start(terminal.open(), names, limit=timeout, told=_teller(terminal))
    return _finish(terminal, found)


@command(None, "restart", examples=["holdfast restart", "holdfast restart director-agent"])
@_NAMES
@_LIMIT
def restart(terminal: Terminal, names: tuple[str, ...], timeout: float) -> int:
    """Stop services and start them anew: those named, or all that are wanted."""
    from holdfast.services import control

    found = control.restart(terminal.open(), names, limit=timeout, told=_teller(terminal))
    return _finish(terminal, found)


@command(None, "stop", examples=["holdfast stop", "holdfast stop director-agent"])
@_NAMES
def stop(terminal: Terminal, names: tuple[str, ...]) -> int:
    """Stop all services, or some with those that depend on them; they stay stopped.

    Each is asked to end, and killed when it has not ended after its stopTimeout.
    """
    from holdfast.services import control

    found = control.stop(terminal.open(), names)
    tell = _teller(terminal)
    for status in found:
        tell(status)
    return _finish(terminal, found)


@command(None, "ps", examples=["holdfast ps", "holdfast ps director-agent --json"])
@_NAMES
def ps(terminal: Terminal, names: tuple[str, ...]) -> int:
    """What runs: state, processor share, memory and age of each service.

    Exit status 1 when a service is not as it is wanted.
    """
    from holdfast.services import control

    found = control.statuses(terminal.open(), names)
    columns = {
        "name": "NAME",
        "state": "STATE",
        "pid": "PID",
        "cpu": "CPU",
        "memory": "MEMORY",
        "age": "AGE",
        "restarts": "RESTARTS",
        "reason": "WHY",
    }
    if terminal.json:
        terminal.emit(found, "")
    else:
        terminal.emit_rows([_row(status) for status in found], columns, empty=_NONE)
    return 1 if control.unhealthy(found) else 0


_NONE = "no service is declared: give an agent one with: holdfast agents set ID service={}"


def _teller(terminal: Terminal) -> "Callable[[ServiceStatus], None]":
    """Says what became of each service as soon as it is known."""

    def tell(status: "ServiceStatus") -> None:
        if terminal.json:
            return
        why = f": {status.reason}" if status.reason else ""
        pid = f" (process {status.pid})" if status.pid is not None else ""
        look = "" if status.healthy else f"; look at {status.log}"
        click.echo(f"{status.state:<9}{status.name}{pid}{why}{look}")

    return tell


def _finish(terminal: Terminal, found: Sequence["ServiceStatus"]) -> int:
    from holdfast.services.control import unhealthy

    if terminal.json:
        terminal.emit(found, "")
    elif not found:
        terminal.note(_NONE)
    return 1 if unhealthy(found) else 0


def _row(status: "ServiceStatus") -> dict[str, object]:
    return {
        "name": status.name,
        "state": status.state,
        "pid": status.pid,
        "cpu": None if status.cpu is None else f"{status.cpu:.1%}",
        "memory": None if status.memory is None else readable_size(status.memory),
        "age": None if status.age is None else _age(status.age),
        "restarts": status.restarts or None,
        "reason": status.reason,
    }


def _age(seconds: float) -> str:
    """A span of time as people read it, e.g. ``3 h``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
