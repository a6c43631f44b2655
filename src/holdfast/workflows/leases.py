"""Who executes which run: owners with a heartbeat, and when another may take their runs.

An owner is one opened `Workflows`. While it lives it raises a counter in the store, so one small
write keeps all its runs. Another process may take a run when its owner

- has gone (closed, or its process has certainly ended): at once;
- has not raised its counter during a whole lease, as measured by the other's own monotonic clock.

No time of day is compared, so no step of any clock can end a lease or keep a dead one. An owner
that was only asleep finds its run's epoch changed and can record nothing in it any more.
"""

import secrets
import threading
import time
from collections.abc import Mapping

import msgspec

from holdfast.errors import HoldfastError
from holdfast.workflows.processes import ProcessIdentity, is_gone, this_process
from holdfast.workflows.store import WorkflowStore

_BEATS_IN_A_LEASE = 4


class OwnerNote(msgspec.Struct, frozen=True, rename="camel"):
    """What an owner writes about itself: its process and its counter."""

    process: ProcessIdentity
    beat: int = 0


class Leases:
    """The own heartbeat, and the judgement of others'. `lease` is in seconds."""

    def __init__(self, store: WorkflowStore, *, lease: float) -> None:
        self._store = store
        self._lease = lease
        self._process = this_process()
        self.owner = f"{self._process.pid}-{secrets.token_hex(8)}"
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._seen: dict[str, tuple[int, float]] = {}  # owner: its counter, and since when

    def hold(self) -> None:
        """Register as an owner, before the first run is claimed."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._save(0)
                thread = threading.Thread(target=self._beat, name="holdfast-heartbeat", daemon=True)
                thread.start()
                self._thread = thread

    def close(self) -> None:
        """Stop the heartbeat and forget this owner: what it left unfinished is free."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
            self._store.remove_owner(self.owner)

    def free_owners(self, owners: set[str]) -> set[str]:
        """Those of `owners` whose runs may be taken now; this one's own is never among them."""
        notes = self._store.read_owners()
        return {o for o in owners if o != self.owner and self._is_free(o, notes)}

    def is_free(self, owner: str | None) -> bool:
        """Whether a run of `owner` may be taken now."""
        return owner is None or owner in self.free_owners({owner})

    def name_of(self, owner: str | None) -> str:
        """An owner for people: its process and machine."""
        body = self._store.read_owners().get(owner or "")
        if body is None:
            return "another process"
        process = msgspec.json.decode(body, type=OwnerNote).process
        return f"process {process.pid} on {process.host}"

    def forget_gone(self) -> None:
        """Drop the notes of owners that are gone; a missing one means the same."""
        for owner in self.free_owners(set(self._store.read_owners())):
            self._store.remove_owner(owner)
            self._seen.pop(owner, None)

    def _is_free(self, owner: str, notes: Mapping[str, bytes]) -> bool:
        if owner not in notes:
            return True
        note = msgspec.json.decode(notes[owner], type=OwnerNote)
        if is_gone(note.process, shared_by_hosts=self._store.shared_by_hosts):
            return True
        now = time.monotonic()
        beat, since = self._seen.get(owner, (-1, now))
        if beat != note.beat:
            self._seen[owner] = (note.beat, now)
            return False
        return now - since >= self._lease

    def _beat(self) -> None:
        beat = 0
        while not self._closed.wait(self._lease / _BEATS_IN_A_LEASE):
            beat += 1
            try:
                self._save(beat)
            except HoldfastError:
                continue  # the disk said no: the next beat may pass, and recording tells the rest

    def _save(self, beat: int) -> None:
        note = OwnerNote(self._process, beat)
        self._store.save_owner(self.owner, msgspec.json.encode(note))
