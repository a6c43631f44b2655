"""Events in this process's memory: gone when it ends."""

import threading
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from operator import itemgetter

from holdfast.events.store import Appended, NewEvent, State, StateKind, StoredEvent, Stream

_position, _version = itemgetter(0), itemgetter(2)


class MemoryEventStore:
    """See `holdfast.events.store.EventStore`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[StoredEvent] = []
        self._streams: dict[str, list[StoredEvent]] = {}
        self._keys: dict[tuple[str, str], Appended] = {}
        self._states: dict[tuple[StateKind, str], State] = {}
        self._archives: dict[str, tuple[int, bytes]] = {}
        self._head = 0

    def append(
        self, stream: str, events: Sequence[NewEvent], *, expect: int | None, key: str | None
    ) -> Appended | None:
        with self._lock:
            if key is not None and (known := self._keys.get((stream, key))) is not None:
                return known
            version = self._version(stream)
            if stream in self._archives or expect not in (None, version):
                return None
            line = self._streams.setdefault(stream, [])
            for event in events:
                self._head += 1
                version += 1
                stored = (self._head, stream, version, event.type, event.body)
                self._events.append(stored)
                line.append(stored)
            appended = Appended(version, self._head)
            if key is not None:
                self._keys[stream, key] = appended
            return appended

    def read(
        self,
        *,
        stream: str | None,
        after: int,
        limit: int,
        types: Collection[str] | None,
    ) -> list[StoredEvent]:
        with self._lock:
            if stream is None:
                line, number = self._events, _position
            else:
                line, number = self._streams.get(stream, []), _version
            start = bisect_right(line, after, key=number)
            if types is None:
                return line[start : start + limit]
            wanted = (event for event in islice(line, start, None) if event[3] in types)
            return list(islice(wanted, limit))

    def head(self) -> int:
        return self._head

    def version(self, stream: str) -> int:
        with self._lock:
            return self._version(stream)

    def streams(self, *, prefix: str, after: str, limit: int) -> list[Stream]:
        with self._lock:
            names = sorted(name for name in self._streams if name.startswith(prefix))
            found = [name for name in names if name > after][:limit]
            return [Stream(name, self._version(name)) for name in found]

    def read_state(self, kind: StateKind, name: str) -> State | None:
        return self._states.get((kind, name))

    def save_state(self, kind: StateKind, name: str, state: State, *, replaces: int | None) -> bool:
        with self._lock:
            present = self._states.get((kind, name))
            if (None if present is None else present.at) != replaces:
                return False
            self._states[kind, name] = state
            return True

    def states(self, kind: StateKind) -> dict[str, int]:
        with self._lock:
            return {name: state.at for (each, name), state in self._states.items() if each == kind}

    def archive(self, stream: str, version: int, note: bytes) -> bool:
        with self._lock:
            if stream not in self._streams or self._version(stream) != version:
                return False
            del self._streams[stream]
            self._events = [event for event in self._events if event[1] != stream]
            self._keys = {key: place for key, place in self._keys.items() if key[0] != stream}
            self._archives[stream] = (version, note)
            return True

    def archived(self, stream: str) -> bytes | None:
        found = self._archives.get(stream)
        return None if found is None else found[1]

    def archives(self) -> dict[str, bytes]:
        with self._lock:
            return {stream: note for stream, (_, note) in self._archives.items()}

    def unarchive(
        self, stream: str, events: Sequence[StoredEvent], keys: Mapping[int, str]
    ) -> bool:
        with self._lock:
            if self._archives.pop(stream, None) is None:
                return False
            self._streams[stream] = list(events)
            for position, _, version, _, _ in events:
                if version in keys:
                    self._keys[stream, keys[version]] = Appended(version, position)
            self._events = sorted([*self._events, *events], key=_position)
            return True

    def close(self) -> None:
        """Nothing to give back."""

    def _version(self, stream: str) -> int:
        line = self._streams.get(stream)
        if line:
            return line[-1][2]
        return self._archives[stream][0] if stream in self._archives else 0
