"""The parking lot: events that could not be applied, and those that must wait behind them.

The row of `inbox_key` is the lock for everything that concerns a key.
"""

import json
from collections.abc import Sequence

from chassis.database import Transaction
from chassis.inbox.events import Delivery


async def park(tx: Transaction, consumer: str, delivery: Delivery, reason: str, attempts: int) -> None:
    """Park a key at this event; its row must be locked and its position is for the caller to move."""
    key = delivery.key_id
    await keep(tx, consumer, delivery, reason, attempts)
    await tx.execute(
        "INSERT INTO parked_key (consumer, topic, key, source, reason) VALUES ($1, $2, $3, $4, $5)",
        consumer,
        *key,
        reason,
    )
    await tx.execute(
        "UPDATE inbox_key SET parked = true WHERE consumer = $1 AND topic = $2 AND key = $3 AND source = $4",
        consumer,
        *key,
    )


async def line_up(tx: Transaction, consumer: str, deliveries: Sequence[Delivery]) -> None:
    """Queue events of parked keys behind what is parked there."""
    for delivery in deliveries:
        await keep(tx, consumer, delivery, "An earlier event of this key is parked.", 0)


async def keep(tx: Transaction, consumer: str, delivery: Delivery, reason: str, attempts: int) -> None:
    """Store one record; once, however often it arrives."""
    key = delivery.key_id
    await tx.execute(
        """
        INSERT INTO parked_msg
            (consumer, topic, key, source, key_seq, event_id, headers, envelope, reason, attempts)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
        """,
        consumer,
        *key,
        delivery.sequence,
        delivery.event_id,
        json.dumps(delivery.record.headers),
        delivery.record.value,
        reason,
        attempts,
    )
