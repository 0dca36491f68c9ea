"""Consumers that apply each event once in effect, in order per key."""

from chassis.inbox.consumer import Consumer, ConsumerStatus
from chassis.inbox.events import ReceivedEvent, Subscription
from chassis.inbox.parked import ParkedEvent, ParkedEvents
from chassis.inbox.schema import INBOX_V1, INBOX_V1_DROP
from chassis.inbox.settings import ConsumerSettings

__all__ = [
    "INBOX_V1",
    "INBOX_V1_DROP",
    "Consumer",
    "ConsumerSettings",
    "ConsumerStatus",
    "ParkedEvent",
    "ParkedEvents",
    "ReceivedEvent",
    "Subscription",
]
