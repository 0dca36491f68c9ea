"""Transactional outbox and the relay that carries it to the broker."""

from chassis.outbox.outbox import Outbox, Publication
from chassis.outbox.relay import Relay
from chassis.outbox.resend import OutboxOperator, OutboxPosition, Resend
from chassis.outbox.rows import Lag, Shard
from chassis.outbox.schema import OUTBOX_V1, OUTBOX_V1_DROP

__all__ = [
    "OUTBOX_V1",
    "OUTBOX_V1_DROP",
    "Lag",
    "Outbox",
    "OutboxOperator",
    "OutboxPosition",
    "Publication",
    "Relay",
    "Resend",
    "Shard",
]
