"""Durable queues: put, take with a lease, ack; dead letters; many processes.

`queue` the policy, written once · `topics` logs that several subscriptions get, each all of it ·
`store` what an engine has to do · `stores` the engines.
"""

from holdfast.queues.message import Message
from holdfast.queues.opening import list_queues, list_topics
from holdfast.queues.queue import Queue
from holdfast.queues.rates import Rate
from holdfast.queues.retention import Retention
from holdfast.queues.retries import Backoff
from holdfast.queues.store import NewMessage, QueueStore, Stats, StoredMessage, TopicStore
from holdfast.queues.topics import Subscription, SubscriptionStatus, Topic

__all__ = [
    "Backoff",
    "Message",
    "NewMessage",
    "Queue",
    "QueueStore",
    "Rate",
    "Retention",
    "Stats",
    "StoredMessage",
    "Subscription",
    "SubscriptionStatus",
    "Topic",
    "TopicStore",
    "list_queues",
    "list_topics",
]
