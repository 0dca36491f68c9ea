"""The rule of the inbox: each event of a key takes effect once, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from chassis.database import Transaction
from chassis.inbox.events import KeyId


class Verdict(Enum):
    """What is to be done with a run of consecutive events."""

    APPLY = "apply"
    DUPLICATE = "duplicate"
    GAP = "gap"
    BUSY = "busy"
    """Somebody else holds the key; ask again."""
    QUEUE = "queue"
    """The key is parked; line up behind."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, how many of the run's first events are duplicates, and the key's position before."""

    verdict: Verdict
    duplicates: int = 0
    last_seq: int = 0


BUSY = Decision(Verdict.BUSY)


def decide(last_seq: int, parked: bool, first: int, last: int) -> Decision:
    """Judge events first..last of a key of which everything up to last_seq is done.

    Only last_seq + 1 may be applied. Below lies what was done before; above, something is missing.
    """
    if last <= last_seq:
        return Decision(Verdict.DUPLICATE, last - first + 1, last_seq)
    if first > last_seq + 1:
        return Decision(Verdict.GAP, 0, last_seq)
    verdict = Verdict.QUEUE if parked else Verdict.APPLY
    return Decision(verdict, last_seq + 1 - first, last_seq)


async def lock(tx: Transaction, consumer: str, keys: Sequence[KeyId]) -> dict[KeyId, tuple[int, bool]]:
    """Lock the rows of keys of one topic until the end of the transaction.

    Returns:
        (last_seq, parked) of each key; one that somebody else holds is not in it.
    """
    rows = await tx.fetch(
        "SELECT ordinal, last_seq, parked FROM inbox_lock($1, $2, $3::text[], $4::text[])",
        consumer,
        keys[0].topic,
        [key.key for key in keys],
        [key.source for key in keys],
    )
    return {keys[ordinal - 1]: (last_seq, parked) for ordinal, last_seq, parked in rows}


async def advance(tx: Transaction, consumer: str, positions: Sequence[tuple[KeyId, int]]) -> None:
    """Move locked keys of one topic on."""
    if positions:
        await tx.execute(
            """
            INSERT INTO inbox_key (consumer, topic, key, source, last_seq)
            SELECT $1, $2, m.* FROM unnest($3::text[], $4::text[], $5::bigint[]) AS m
            ON CONFLICT (consumer, topic, key, source) DO UPDATE SET last_seq = excluded.last_seq
            """,
            consumer,
            positions[0][0].topic,
            [key.key for key, _ in positions],
            [key.source for key, _ in positions],
            [sequence for _, sequence in positions],
        )
