"""The event log: append to streams, read in one order, subscribe, project, archive.

`log` the policy, written once · `store` what an engine has to do · `stores` the engines.
"""

from holdfast.events.aggregates import Aggregate
from holdfast.events.archives import Archive
from holdfast.events.event import Event
from holdfast.events.log import EventLog
from holdfast.events.projections import Projection
from holdfast.events.store import Appended, EventStore, NewEvent, State, StoredEvent, Stream

__all__ = [
    "Aggregate",
    "Appended",
    "Archive",
    "Event",
    "EventLog",
    "EventStore",
    "NewEvent",
    "Projection",
    "State",
    "StoredEvent",
    "Stream",
]
