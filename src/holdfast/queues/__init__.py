"""Durable queues: put, take with a lease, ack; dead letters; many processes.

`queue` the policy, written once · `store` what an engine has to do · `stores` the engines.
"""

from holdfast.queues.message import Message
from holdfast.queues.opening import list_queues
from holdfast.queues.queue import Queue
from holdfast.queues.rates import Rate
from holdfast.queues.retries import Backoff
from holdfast.queues.store import NewMessage, QueueStore, Stats, StoredMessage

__all__ = [
    "Backoff",
    "Message",
    "NewMessage",
    "Queue",
    "QueueStore",
    "Rate",
    "Stats",
    "StoredMessage",
    "list_queues",
]
