"""Transactions that end as a test wants them to."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


class _UndoneError(Exception):
    """Ends a transaction; never leaves this module."""


@asynccontextmanager
async def rolled_back(scope: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Run the body in a transaction or savepoint that is undone at its end.

    Args:
        scope: `database.transaction()` or `tx.savepoint()`.
    """
    try:
        async with scope as entered:
            yield entered
            raise _UndoneError
    except _UndoneError:
        return
