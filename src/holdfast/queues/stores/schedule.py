"""Who may be taken next: ready, delayed, leased, blocked and dead messages in memory.

Changes come in as facts ("leased", "settled"), whether just decided or read back from a journal,
so that replaying the same facts gives the same schedule. Heaps are cleaned lazily: an item counts
only while it agrees with its entry. No locking: the engine's lock covers it.
"""

from heapq import heapify, heappop, heappush, nsmallest

from holdfast.queues.stores.clock import ClockWatch

READY, DELAYED, LEASED, DEAD, BLOCKED = range(5)

_STALE_ITEMS = 4096  # items beyond the live ones that a heap may hold before it is cleaned


class Entry:
    """One message that is not simply standing in line."""

    __slots__ = (
        "at", "attempts", "due", "given", "group", "id", "key", "lease", "length", "offset",
        "payload", "place", "position", "priority", "reason", "segment", "token", "until",
    )  # fmt: skip

    def __init__(
        self,
        id: int,  # noqa: A002
        at: float,
        *,
        payload: bytes | None = None,
        location: tuple[int, int, int] = (0, 0, 0),
        priority: int = 0,
        due: float = 0.0,
        key: str | None = None,
        group: str | None = None,
        position: int = 0,
    ) -> None:
        self.id = id
        self.at = at
        self.payload = payload
        self.segment, self.offset, self.length = location
        self.priority = priority
        self.due = due
        self.key = key
        self.group = group
        self.position = position
        self.place = READY
        self.attempts = 0
        self.token = 0
        self.until = 0.0
        self.lease = 0.0
        self.reason: str | None = None
        self.given: str | None = None  # its id on the engine it came from

    def spent(self, max_attempts: int) -> bool:
        """Whether its last allowed lease ran out (and was neither settled nor given back)."""
        return self.token != 0 and self.attempts >= max_attempts

    @property
    def location(self) -> tuple[int, int, int]:
        """Segment, offset and length of its line; segment 0 when the payload is here."""
        return (self.segment, self.offset, self.length)

    @property
    def order(self) -> tuple[int, float, int, int]:
        """Messages are taken in ascending order of this; the id is last."""
        return (-self.priority, self.at, abs(self.id), self.id)


class _Group:
    """The messages of one group: the one in play, and those behind it in the order of putting."""

    __slots__ = ("behind", "first")

    def __init__(self) -> None:
        self.first = 0
        self.behind: list[tuple[int, int]] = []  # a heap


class Schedule:
    """All entries of a queue and the order among them."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.counts = [0, 0, 0, 0, 0]
        self.paused = False
        self.last_token = 0
        self._keys: dict[str, dict[int, None]] = {}
        self._groups: dict[str, _Group] = {}
        self._ready: list[tuple[int, float, int, int]] = []
        self._delayed: list[tuple[float, int]] = []
        self._leases: list[tuple[float, int]] = []
        self._dead: dict[int, None] = {}  # in the order they died
        self._clock = ClockWatch()

    def add(self, entry: Entry, place: int | None = None) -> None:
        """A message enters; without `place` it is ready, or delayed when it has a due time.

        Behind another of its group it is blocked.
        """
        self.entries[entry.id] = entry
        entry.place = -1
        if place == DEAD:
            self._move(entry, DEAD)
        else:
            self._join(entry, place if place is not None else DELAYED if entry.due else READY)

    def with_key(self, key: str | None) -> int | None:
        """The id of the message that waits or is leased with this key."""
        return None if key is None else next(iter(self._keys.get(key, ())), None)

    def enter(self, entry: Entry) -> None:
        """A message comes from the line, to be leased at once."""
        self.entries[entry.id] = entry
        entry.place = -1

    def lease(self, entry: Entry, token: int, until: float, lease: float) -> None:
        """A message was taken under `token`."""
        entry.attempts += 1
        entry.token = token
        self.last_token = token
        self.extend(entry, until, lease)

    def extend(self, entry: Entry, until: float, lease: float) -> None:
        """A lease ends at `until`."""
        entry.until = until
        entry.lease = lease
        self._move(entry, LEASED)

    def settle(self, entry: Entry) -> None:
        """A message is gone for good."""
        del self.entries[entry.id]
        self._leave(entry)
        self._part(entry)

    def untake(self, entry: Entry) -> None:
        """A message came back as if it had not been taken."""
        entry.token = 0
        entry.attempts -= 1
        self._move(entry, READY)

    def release(self, entry: Entry, due: float, reason: str | None) -> None:
        """A message came back, to be ready at `due` (0: at once)."""
        entry.token = 0
        entry.due = due
        entry.reason = reason
        self._move(entry, DELAYED if due else READY)

    def bury(self, entry: Entry, reason: str) -> None:
        """A message is a dead letter."""
        entry.token = 0
        entry.reason = reason
        self._move(entry, DEAD)
        self._part(entry)

    def revive(self, entry: Entry) -> None:
        """A dead letter is ready again."""
        entry.attempts = 0
        entry.due = 0.0
        self._join(entry, READY)

    def clear(self) -> None:
        """Everything is gone; tokens and the pause stay."""
        self.entries.clear()
        self._keys.clear()
        self._groups.clear()
        self._dead.clear()
        self.counts = [0, 0, 0, 0, 0]
        self._ready, self._delayed, self._leases = [], [], []

    def rewind(self, position: int) -> None:
        """Everything that was fed from beyond `position` of a log is gone."""
        doomed = [entry for entry in self.entries.values() if entry.position > position]
        for entry in doomed:  # first those behind others, so that none of them follows
            if entry.place == BLOCKED:
                assert entry.group is not None
                behind = self._groups[entry.group].behind
                behind.remove((abs(entry.id), entry.id))
                heapify(behind)
        for entry in doomed:
            del self.entries[entry.id]
            blocked, dead = entry.place == BLOCKED, entry.place == DEAD
            self._leave(entry)
            if not dead:
                self._part(entry, follow=not blocked)

    def promote(self, now: float) -> None:
        """Make ready what is due by now, and what was leased for too long.

        The latter keeps its token: a late ack is fine until somebody else takes the message.
        """
        if self._clock.stepped_back(now):
            self._shorten_leases(now)
        while self._delayed and self._delayed[0][0] <= now:
            due, id_ = heappop(self._delayed)
            entry = self.entries.get(id_)
            if entry is not None and entry.place == DELAYED and entry.due == due:
                self._move(entry, READY)
        while self._leases and self._leases[0][0] <= now:
            until, id_ = heappop(self._leases)
            entry = self.entries.get(id_)
            if entry is not None and entry.place == LEASED and entry.until == until:
                self._move(entry, READY)

    def next_due(self) -> float | None:
        """When the next message is ready by the passing of time alone; early rather than late."""
        heads = [heap[0][0] for heap in (self._delayed, self._leases) if heap]
        return min(heads, default=None)

    def first_ready(self) -> Entry | None:
        """The ready message that comes first, left where it is."""
        ready = self._ready
        while ready:
            entry = self.entries.get(ready[0][3])
            if entry is not None and entry.place == READY:
                return entry
            heappop(ready)
        return None

    def pop_ready(self) -> None:
        """Drop the message `first_ready` returned; the caller leases or buries it.

        It may stand there twice, when it was taken elsewhere and came back.
        """
        dropped = heappop(self._ready)
        while self._ready and self._ready[0] == dropped:
            heappop(self._ready)

    def first(self, limit: int) -> list[Entry]:
        """The first ready messages, in order."""
        ready = (entry for entry in self.entries.values() if entry.place == READY)
        return nsmallest(limit, ready, key=lambda entry: entry.order)

    def dead(self) -> list[Entry]:
        """Dead letters in the order they died."""
        return [self.entries[id_] for id_ in self._dead]

    @property
    def depth(self) -> int:
        """How many entries are not dead."""
        return len(self.entries) - self.counts[DEAD]

    def in_checkpoint_order(self) -> list[Entry]:
        """All entries, the dead last and in the order they died."""
        alive = [entry for entry in self.entries.values() if entry.place != DEAD]
        return alive + self.dead()

    def holder(self, id_: int, token: int) -> Entry | None:
        """The message leased under `token`, or None when that lease is over."""
        entry = self.entries.get(id_)
        return entry if entry is not None and entry.token == token and token else None

    def _move(self, entry: Entry, place: int) -> None:
        if entry.place >= 0:
            self._leave(entry)
        entry.place = place
        self.counts[place] += 1
        if place == LEASED:
            heappush(self._leases, (entry.until, entry.id))
            if len(self._leases) > 2 * self.counts[LEASED] + _STALE_ITEMS:
                self._leases = [
                    (entry.until, entry.id)
                    for entry in self.entries.values()
                    if entry.place == LEASED
                ]
                heapify(self._leases)
        elif place == READY:
            heappush(self._ready, entry.order)
        elif place == DELAYED:
            heappush(self._delayed, (entry.due, entry.id))
        elif place == DEAD:
            self._dead[entry.id] = None

    def _leave(self, entry: Entry) -> None:
        self.counts[entry.place] -= 1
        if entry.place == DEAD:
            del self._dead[entry.id]

    def _join(self, entry: Entry, place: int) -> None:
        """A message is in play: it stands for its key, and behind the first of its group."""
        if entry.key is not None:
            self._keys.setdefault(entry.key, {})[entry.id] = None
        if entry.group is not None:
            group = self._groups.setdefault(entry.group, _Group())
            if group.first or place == BLOCKED:  # a checkpoint may tell of the first one later
                heappush(group.behind, (abs(entry.id), entry.id))
                place = BLOCKED
            else:
                group.first = entry.id
        self._move(entry, place)

    def _part(self, entry: Entry, *, follow: bool = True) -> None:
        """A message is out of play: the next of its group follows."""
        if entry.key is not None:
            holders = self._keys[entry.key]
            del holders[entry.id]
            if not holders:
                del self._keys[entry.key]
        if entry.group is None or not follow:
            return
        group = self._groups[entry.group]
        if not group.behind:
            del self._groups[entry.group]
            return
        group.first = heappop(group.behind)[1]
        following = self.entries[group.first]
        self._move(following, DELAYED if following.due else READY)

    def _shorten_leases(self, now: float) -> None:
        """The clock stepped back: no lease may now last longer than it was given for."""
        for entry in list(self.entries.values()):
            if entry.place == LEASED and entry.until > now + entry.lease:
                self.extend(entry, now + entry.lease, entry.lease)
