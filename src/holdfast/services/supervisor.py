"""The supervisor: one detached process a workspace that keeps its services as they are wanted.

It reads what people want (``wanted.json``) and what it did itself (``state/``), so it may be killed
at any instant: the next one goes on. It ends when nothing is wanted and nothing runs.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

from holdfast.durable.locks import Lock
from holdfast.errors import BusyError, HoldfastError
from holdfast.facade import Workspace, open_workspace
from holdfast.logs import redact
from holdfast.services.declared import Service, declared_services
from holdfast.services.environment import Secrets, no_secrets
from holdfast.services.records import Records, Wish
from holdfast.services.supervised import Supervised

_SHORTEST, _LONGEST = 0.03, 0.25  # seconds between two looks
_REREAD = 2.0  # seconds after which the registries are read again though nothing new is wanted
_DONE = ("stopped", "ended", "failed")
_NOT_WANTED = Wish(up=False, turn=0)


class Supervisor:
    """Supervises the services of `workspace` in the calling thread."""

    def __init__(self, workspace: Workspace, secrets: Secrets = no_secrets) -> None:
        self._workspace = workspace
        self._records = Records(workspace.layout)
        self._secrets = secrets
        self._services: dict[str, Supervised] = {}
        self._declared: dict[str, Service] = {}
        self._unread = ""  # why the registries could not be read yet
        self._wanted: dict[str, Wish] = {}
        self._read_for: dict[str, Wish] | None = None
        self._read_next = 0.0
        self._problem = ""

    def run(self) -> None:
        """Supervise until nothing is wanted and nothing runs. Raises `BusyError` if another does.

        A disk that refuses is waited for; services go on meanwhile.
        """
        lock = Lock(self._records.supervisor_lock, purpose="supervise the services", timeout=2.0)
        with lock:
            self._supervise()

    def _supervise(self) -> None:
        pause = _SHORTEST
        while True:
            try:
                busy = self._look()
                if not busy and self._nothing_left(self._records.wanted()):
                    return
            except HoldfastError as error:
                self._complain(error)
                busy = False
            pause = _SHORTEST if busy else min(pause * 1.5, _LONGEST)
            time.sleep(pause)

    def _look(self) -> bool:
        """Look at every service once; whether something is under way."""
        wanted = self._wanted = self._records.wanted()
        self._meet(wanted)
        now = time.time()
        busy = False
        for name, service in self._services.items():
            before = service.record.state, service.record.process
            wish = wanted.get(name, _NOT_WANTED)
            blocked, held = self._blocked(name), self._held(name, wanted)
            record = service.record
            try:
                service.look(wish, now, blocked=blocked, held=held)
            except HoldfastError as error:
                self._complain(error)
            busy |= before != (record.state, record.process)
            busy |= record.state in ("starting", "stopping")
        return busy

    def _meet(self, wanted: dict[str, Wish]) -> None:
        self._read_registries()
        for name in (*wanted, *self._records.names()):
            if name not in self._services:
                self._take_on(name)
        for name, service in self._services.items():
            service.service = self._declared.get(name)

    def _read_registries(self) -> None:
        if time.monotonic() < self._read_next and self._read_for == self._wanted:
            return
        try:
            self._declared = declared_services(self._workspace)
            self._unread = ""
        except HoldfastError as error:  # what runs goes on; what was known is still good
            self._complain(error)
            self._unread = "" if self._declared else str(error)
        self._read_for = self._wanted
        self._read_next = time.monotonic() + _REREAD

    def _take_on(self, name: str) -> None:
        try:
            service = Supervised(self._workspace, self._records, name, self._secrets)
        except HoldfastError as error:  # its record cannot be read: the others go on
            self._complain(error)
        else:
            self._services[name] = service

    def _blocked(self, name: str) -> str:
        """What a service must wait for before it is started."""
        if self._unread:
            return f"waits for a registry that can be read: {self._unread}"
        for need in self._needs(name):
            other = self._services.get(need)
            if other is None or other.record.state not in ("ready", "ended"):
                return f"waits for {need}"
        return ""

    def _held(self, name: str, wanted: dict[str, Wish]) -> bool:
        """Whether others that are to end too must end before this one."""
        return any(
            name in self._needs(other) and service.runs and not wanted.get(other, _NOT_WANTED).up
            for other, service in self._services.items()
        )

    def _needs(self, name: str) -> list[str]:
        declared = self._declared.get(name)
        return declared.entry.depends_on if declared is not None else []

    def _nothing_left(self, wanted: dict[str, Wish]) -> bool:
        """Whether nothing runs and nothing is still to be started."""
        if any(service.runs for service in self._services.values()):
            return False
        for name, wish in wanted.items():
            service = self._services.get(name)
            if wish.up and (
                service is None
                or service.record.turn != wish.turn
                or service.record.state not in _DONE
            ):
                return False
        return True

    def _complain(self, error: HoldfastError) -> None:
        if str(error) != self._problem:
            self._problem = str(error)
            with suppress(OSError):  # its output is a file, on the disk that may be full
                print(error, file=sys.stderr, flush=True)  # noqa: T201


def main() -> int:
    """Supervise the workspace given as the only argument."""
    workspace = open_workspace(Path(sys.argv[1]))
    try:
        _redact_kept(workspace)
        Supervisor(workspace, workspace.secrets.get).run()
    except BusyError:
        return 0  # another one is at work
    return 0


def _redact_kept(workspace: Workspace) -> None:
    """Keep the secrets out of the logs of services that another supervisor started."""
    for each in workspace.secrets.list():
        with suppress(HoldfastError):  # a service that needs it will say so
            redact([workspace.secrets.get(each.name)])


if __name__ == "__main__":
    sys.exit(main())
