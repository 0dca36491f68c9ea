"""PostgreSQL by asyncpg: one pool, one transaction type, one place that maps errors, migrations."""

from chassis.database.database import Database
from chassis.database.errors import TransactionFailedError, translate
from chassis.database.transaction import CommitWork, Transaction

__all__ = ["CommitWork", "Database", "Transaction", "TransactionFailedError", "translate"]
