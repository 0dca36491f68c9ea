"""The ports through which a use case makes its writes one transaction."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Transaction(Protocol):
    """The transaction that runs."""

    def savepoint(self) -> AbstractAsyncContextManager[object]:
        """A part that can fail alone: when its body raises, only the body's writes are undone."""
        ...


class Transactions(Protocol):
    """Starts or joins the transaction of the running task; `chassis.database.Database` is one."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]: ...
