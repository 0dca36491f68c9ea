"""Reading a log keyed by a sequence without missing rows that commit late.

Positions come from a sequence at insert time, but transactions commit in another order, so a reader
that asks for `position > cursor` skips whatever commits behind its cursor. Here each writer, before
it takes positions, holds a shared advisory lock that carries the sequence's floor; the reader's
ceiling is the least floor still held. The order of the steps on both sides is the whole proof:

- writer: read floor F, lock F, then `nextval`; the lock ends with the transaction;
- reader, three READ COMMITTED statements: sequence floor S, least held floor L, then rows in
  `(cursor, least(S, L)]`.

A writer whose lock the reader did not see either has committed, so that the rows statement sees its
rows, or locks later and gets positions above S. Needs a sequence with CACHE 1, the primary server,
and `synchronous_commit` not off.
"""

from dataclasses import dataclass
from typing import Any, Protocol

EVENT_STORE_NAMESPACE = 1
OUTBOX_NAMESPACE = 2


class Reader(Protocol):
    """What reads: a Database, a Transaction or an asyncpg connection."""

    async def fetchval(self, query: str, /, *args: Any) -> Any:
        """The first column of the first row, or None."""
        ...


@dataclass(frozen=True, slots=True)
class SequenceLog:
    """A log table whose positions come from one sequence.

    Args:
        name: the sequence.
        namespace: 1 to 32767, different for each log in a database; the advisory key is
            `namespace << 48 | floor`.
    """

    name: str
    namespace: int

    def __post_init__(self) -> None:
        if not 0 < self.namespace < 1 << 15:
            raise ValueError(f"namespace {self.namespace} is not in 1..32767")

    @property
    def floor_sql(self) -> str:
        """Expression: the highest position given out so far, 0 before the first.

        Not a subquery on the sequence: PL/pgSQL evaluates this without starting the executor.
        """
        return f"coalesce(pg_sequence_last_value('{self.name}'::regclass), 0)"

    @property
    def enter_sql(self) -> str:
        """PL/pgSQL statements that a writing function runs before it takes positions.

        The function declares `entered text`. The first floor of a transaction covers all its later
        positions; the setting, local to the transaction and undone with a savepoint just as the lock
        is, spares the others: one lock each would fill the server's lock table.
        """
        flag = f"greenledger.log_{self.namespace}"
        key = f"({self.namespace}::bigint << 48) | {self.floor_sql}"
        return f"""
    IF coalesce(current_setting('{flag}', true), '') = '' THEN
        entered := pg_advisory_xact_lock_shared({key})::text || set_config('{flag}', '1', true);
    END IF;"""

    @property
    def held_sql(self) -> str:
        """Expression: the least floor that a writer holds, null when there is none."""
        return f"""(
            SELECT min(((classid::bigint & 65535) << 32) | objid::bigint)
            FROM pg_locks
            WHERE locktype = 'advisory' AND granted AND objsubid = 1
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND classid::bigint >> 16 = {self.namespace}
        )"""

    @property
    def ceiling_sql(self) -> str:
        """PL/pgSQL statements that a VOLATILE reading function runs before its rows statement.

        They are the first two of the reader's three statements: in such a function every statement has a
        snapshot of its own, as long as the transaction is READ COMMITTED. The function takes the cursor as
        `after` and declares `ceiling bigint`, which becomes what `read_ceiling` would give.

        Source: https://www.postgresql.org/docs/current/xfunc-volatility.html
        """
        return f"""
    ceiling := {self.floor_sql};
    IF ceiling > after THEN
        ceiling := greatest(after, least(ceiling, {self.held_sql}));
    ELSE
        ceiling := after;
    END IF;"""

    async def floor(self, connection: Reader) -> int:
        """The highest position given out so far; some may not be committed."""
        return int(await connection.fetchval(f"SELECT {self.floor_sql}"))

    async def read_ceiling(self, connection: Reader, after: int = 0) -> int:
        """The position up to which a reader may read now; later reads of the same range add nothing.

        Args:
            connection: where the following rows statement runs too, at READ COMMITTED.
            after: the reader's cursor; when nothing lies beyond it, the locks are not probed. Default 0.

        Returns:
            At least `after`.
        """
        floor = await self.floor(connection)
        if floor <= after:
            return after
        held = await connection.fetchval(f"SELECT {self.held_sql}")
        return max(after, floor if held is None else min(floor, int(held)))
