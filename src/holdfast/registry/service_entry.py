"""How an entry of a registry is kept running: its key ``service``.

::

    "director-agent": {
      "name": "Director", "path": "…", "status": "active",
      "service": {
        "command": ["python", "agents/director-agent.py"],
        "dependsOn": ["observatory-agent"],
        "ready": {"log": "listening", "timeout": 20},
        "restart": {"policy": "on-failure", "limit": 5},
        "stopTimeout": 10
      }
    }

An empty object is enough: then the agent's own file is run.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from holdfast.errors import UsageError

Seconds = Annotated[float, Meta(ge=0)]


class ReadyCheck(msgspec.Struct, frozen=True, omit_defaults=True):
    """When a service counts as ready: at most one of `port`, `log`, `file`; else once it runs."""

    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="A port of this machine (127.0.0.1) that takes connections."),
    ] = None
    log: Annotated[str | None, Meta(description="Text that a line of its output holds.")] = None
    file: Annotated[
        str | None, Meta(description="A file that it makes or touches, relative to the workspace.")
    ] = None
    timeout: Annotated[Seconds, Meta(description="Seconds it may take; 0: no limit.")] = 30.0


class RestartPolicy(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What happens when a service ends by itself."""

    policy: Annotated[
        Literal["on-failure", "always", "never"],
        Meta(description="on-failure: unless it ended with status 0."),
    ] = "on-failure"
    limit: Annotated[int, Meta(ge=0, description="Restarts in a row before it is given up.")] = 5
    backoff: Annotated[
        Seconds, Meta(description="Seconds before the first restart, doubled for each next.")
    ] = 1.0
    longest: Annotated[Seconds, Meta(description="The longest such pause, in seconds.")] = 60.0
    reset_after: Annotated[
        Seconds, Meta(description="Seconds of being up after which the count begins anew.")
    ] = 60.0


class ServiceEntry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How `holdfast start` runs an agent or a server, and keeps it running."""

    command: Annotated[
        list[str] | None,
        Meta(description="The program and its arguments, run without a shell in the workspace."),
    ] = None
    autostart: Annotated[
        bool, Meta(description="Whether `holdfast start` without a name starts it.")
    ] = True
    depends_on: Annotated[
        list[str], Meta(description="Services that are started, and ready, before it.")
    ] = []
    env: Annotated[
        dict[str, str],
        Meta(description="Variables for it; ${VAR} and ${secret:NAME} are resolved."),
    ] = {}
    ready: ReadyCheck = ReadyCheck()
    restart: RestartPolicy = RestartPolicy()
    stop_timeout: Annotated[
        Seconds, Meta(description="Seconds between the request to end and the kill.")
    ] = 10.0


def service_of(entry: Mapping[str, Any], name: str) -> ServiceEntry | None:
    """The key ``service`` of the entry `name`; None when there is none. Raises `UsageError`."""
    value = entry.get("service")
    if value is None:
        return None
    try:
        service = msgspec.convert(value, ServiceEntry)
    except msgspec.ValidationError as error:
        raise UsageError(f"the service of {name}: {error}") from error
    if service.command is not None and not service.command:
        raise UsageError(f"the service of {name}: its command is empty")
    ready = service.ready
    if sum(check is not None for check in (ready.port, ready.log, ready.file)) > 1:
        raise UsageError(f"the service of {name}: ready has more than one of port, log and file")
    return service
