"""One service under supervision: each look at it brings it a step closer to what is wanted.

A start is written down with its token before the program is run, and the program's id after it. A
supervisor that was killed in between finds the program by its token, and starts none twice.
"""

import subprocess
from contextlib import suppress

import msgspec

from holdfast.durable.faults import fault_point
from holdfast.durable.files import remove
from holdfast.durable.outputs import Output
from holdfast.errors import HoldfastError, StorageError
from holdfast.facade import Workspace
from holdfast.logs import redact
from holdfast.registry.service_entry import RestartPolicy
from holdfast.services import processes
from holdfast.services.declared import Service, command_of
from holdfast.services.environment import Secrets, environment_for, secret_values
from holdfast.services.output import log_lines
from holdfast.services.readiness import described, is_ready
from holdfast.services.records import Records, State, Wish
from holdfast.workflows.processes import identity_of

_OUTPUT_LIMIT = 16 << 20  # bytes of output, all of it in the log, after which its file is emptied
_STOP_TIMEOUT = 10.0  # seconds, of a service that is declared no more


class Supervised:
    """The service `name`; all methods are called by the supervisor's one thread."""

    def __init__(self, workspace: Workspace, records: Records, name: str, secrets: Secrets) -> None:
        self.name = name
        self.service: Service | None = None
        self._workspace = workspace
        self._records = records
        self._secrets = secrets
        self._output = Output(records.output(name))
        self._child: subprocess.Popen[bytes] | None = None
        self._asked = False  # to end, by this supervisor
        self.record = records.read(name)
        self._saved = b""
        if self.record.state == "starting" and self.record.process is None:
            # Killed while it started this one: the program may be there, or may never have been.
            self.record.process = processes.find(self.record.token)

    @property
    def runs(self) -> bool:
        """Whether a process of it is known."""
        return self.record.process is not None

    def look(self, wish: Wish, now: float, *, blocked: str, held: bool) -> None:
        """Bring it closer to `wish`; `now` is in seconds of the epoch.

        `blocked` says what it must wait for before it is started; while `held`, others need it and
        it is not stopped. Raises `StorageError`.
        """
        self._take_what_it_says()
        if self.runs and not self._still_runs():
            self._ended(wish, now)
        anew = wish.up and wish.turn != self.record.turn
        if self.runs and (not wish.up or anew):
            if not held or anew:
                self._stop(now)
        elif self.runs:
            self._check(now)
        elif not wish.up:
            self._rest("stopped" if self.record.state != "failed" else "failed")
        elif anew or self.record.state in ("waiting", "pausing", "starting", "ready", "stopping"):
            self._begin(wish, now, blocked=blocked, anew=anew)
        self._save()

    def _begin(self, wish: Wish, now: float, *, blocked: str, anew: bool) -> None:
        record = self.record
        if anew:
            record.turn, record.restarts, record.due = wish.turn, 0, 0.0
        if blocked:
            self._rest("waiting", blocked)
        elif record.due <= now or record.due - now > self._policy.longest:  # the clock was set back
            self._start(now)

    def _start(self, now: float) -> None:
        record, service = self.record, self.service
        if service is None:
            self._rest("failed", "it is declared no more")
            return
        try:
            layout = self._workspace.layout
            command = command_of(self._workspace, service)
            environment = environment_for(layout, service.entry.env, self._secrets)
            redact(secret_values(environment))  # the log of its output is written here
            record.offset = self._output.cut(record.offset, in_use=False)
            record.state, record.reason, record.token = "starting", "", processes.new_token()
            record.since, record.ready_at, record.seen = now, None, False
            record.exit_status, record.asked_to_stop, self._asked = None, None, False
            self._save()
            fault_point("services.intended")
            self._child = processes.spawn(
                command,
                cwd=layout.root,
                environment=environment,
                token=record.token,
                stop_file=self._records.stop_file(self.name),
                output=self._records.output(self.name),
            )
        except HoldfastError as error:
            if isinstance(error, StorageError):  # it may be otherwise in a moment
                self._after_end(str(error), None, now)
            else:
                self._rest("failed", str(error))
            self._say("error", "Service cannot be started", reason=record.reason)
            return
        fault_point("services.spawned")
        record.process = identity_of(self._child.pid)
        self._save()
        fault_point("services.recorded")
        if record.process is None:  # it has ended already
            self._ended(Wish(up=True, turn=record.turn), now)
        else:
            self._say("info", "Service started", pid=record.process.pid)

    def _check(self, now: float) -> None:
        """Whether a running service has become ready, or will not."""
        record, service = self.record, self.service
        if record.state != "starting" or service is None:
            return
        check = service.entry.ready
        if is_ready(check, record, self._workspace.layout.root, now):
            record.state, record.reason, record.ready_at = "ready", "", now
            self._say("info", "Service ready")
        elif now - record.since > check.timeout and check.timeout:
            record.reason = f"not ready after {check.timeout:g} s: {described(check)}"
            self._say("error", "Service not ready", reason=record.reason)
            processes.kill(record.process, record.token)

    def _stop(self, now: float) -> None:
        record = self.record
        assert record.process is not None
        limit = self.service.entry.stop_timeout if self.service else _STOP_TIMEOUT
        if not self._asked or record.asked_to_stop is None or record.asked_to_stop > now:
            # A supervisor that was killed here may have asked, or not: asking twice harms nobody.
            record.state, record.asked_to_stop, self._asked = "stopping", now, True
            with suppress(StorageError):  # a full disk keeps nothing running
                self._save()
            fault_point("services.stopping")
            processes.ask_to_end(record.process, self._records.stop_file(self.name))
        elif now - record.asked_to_stop >= limit:
            record.reason = f"killed: it did not end within {limit:g} s"
            processes.kill(record.process, record.token)

    def _still_runs(self) -> bool:
        if self._child is not None:
            self.record.exit_status = self._child.poll()
            return self.record.exit_status is None
        assert self.record.process is not None
        return processes.alive(self.record.process)

    def _ended(self, wish: Wish, now: float) -> None:
        """Its first process is gone: what is left goes too, and the policy says what is next."""
        record = self.record
        processes.kill(None, record.token)
        if self._child is not None:
            record.exit_status = self._child.wait()
            self._child = None
        self._take_what_it_says(finished=True)
        with suppress(StorageError):
            remove(self._records.stop_file(self.name))
        record.process = None
        status = record.exit_status
        how = "ended" if status is None else f"ended with status {status}"
        asked = record.state == "stopping" and record.asked_to_stop is not None
        if asked or not wish.up:
            self._rest("stopped", record.reason if asked else "")
        else:
            self._after_end(record.reason or how, status, now)
        self._say("info" if asked else "warning", "Service ended", exit_status=status)

    def _after_end(self, how: str, status: int | None, now: float) -> None:
        record, policy = self.record, self._policy
        if record.ready_at is not None and now - record.ready_at >= policy.reset_after:
            record.restarts = 0
        record.ready_at = None
        if policy.policy == "never" or (policy.policy == "on-failure" and status == 0):
            self._rest("ended" if status == 0 else "failed", how)
        elif record.restarts >= policy.limit:
            self._rest("failed", f"given up after {record.restarts} restarts; {how}")
        else:
            pause = min(policy.backoff * 2**record.restarts, policy.longest)
            record.restarts, record.due = record.restarts + 1, now + pause
            self._rest("pausing", how)

    @property
    def _policy(self) -> RestartPolicy:
        return self.service.entry.restart if self.service else RestartPolicy()

    def _rest(self, state: State, reason: str = "") -> None:
        record = self.record
        if state != record.state or reason:
            record.reason = reason
        record.state = state
        if state in ("stopped", "waiting"):
            record.asked_to_stop, record.ready_at = None, None

    def _take_what_it_says(self, *, finished: bool = False) -> None:
        """`_take_output`; on a full disk the output stays where it is until there is room."""
        with suppress(StorageError):
            self._take_output(finished=finished)

    def _take_output(self, *, finished: bool = False) -> None:
        """Bring new output into the log; the record remembers how far that is done."""
        record = self.record
        wanted = self.service.entry.ready.log if self.service else None
        while True:
            lines, offset = self._output.read(record.offset, finished=finished)
            if offset == record.offset and not lines:
                break
            if wanted is not None and not record.seen:
                record.seen = any(wanted.encode() in line for line in lines)
            log_lines(self._workspace.logger(self._component), lines)
            fault_point("services.logged")
            record.offset = offset
            self._save()
        if record.offset > _OUTPUT_LIMIT:
            record.offset = self._output.cut(record.offset, in_use=self.runs)

    @property
    def _component(self) -> str:
        return self.service.component if self.service else f"agent-{self.name}"

    def _say(self, level: str, message: str, **keys: object) -> None:
        with suppress(StorageError):
            self._workspace.logger("supervisor").log(level, message, service=self.name, **keys)

    def _save(self) -> None:
        content = msgspec.json.encode(self.record)
        if content != self._saved:
            self._records.write(self.record)
            self._saved = content
