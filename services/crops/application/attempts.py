"""Deciding anew when somebody else's decision came first."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from chassis.errors import Aborted
from chassis.transactions import Transactions

ATTEMPTS = 5
T = TypeVar("T")


async def decided_anew(
    transactions: Transactions, decide: Callable[[], Awaitable[T]], attempts: int = ATTEMPTS
) -> T:
    """What `decide` answers, in one transaction; what an overtaken attempt wrote is undone.

    Args:
        decide: loads, decides, saves.
        attempts: how often; default 5.

    Raises:
        Aborted: CONCURRENT_CHANGE, others were faster every time.
    """
    async with transactions.transaction() as tx:
        for _ in range(attempts - 1):
            try:
                async with tx.savepoint():
                    return await decide()
            except Aborted:
                continue
        return await decide()
