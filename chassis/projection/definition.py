"""What a service writes to have a projection."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from chassis.database import Transaction
from chassis.eventstore import RecordedEvent

_LONGEST_NAME = 63 - len("_v99999_pkey")  # PostgreSQL cuts longer identifiers silently


@dataclass(frozen=True, slots=True)
class ReadTable:
    """One table of a read model.

    Args:
        name: the table that queries read; a migration creates it from the same `ddl`.
        ddl: script with `{table}` wherever the table's name goes; leave constraints and indexes
            unnamed, since the table exists twice during a rebuild.
        checksum_columns: what a rebuild compares; default every column.
    """

    name: str
    ddl: str
    checksum_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or len(self.name) > _LONGEST_NAME:
            raise ValueError(f"{self.name!r} is not an identifier of at most {_LONGEST_NAME} characters")
        if "{table}" not in self.ddl:
            raise ValueError(f"the ddl of {self.name} does not say {{table}}")

    def create_sql(self, suffix: str = "") -> str:
        """The script for the table, or for its twin with a suffix."""
        return self.ddl.replace("{table}", self.name + suffix)


class Tables:
    """Names of the tables to write to: the live ones, or those being rebuilt."""

    def __init__(self, tables: Sequence[ReadTable], suffix: str = "") -> None:
        self._names = {table.name: table.name + suffix for table in tables}

    def __getitem__(self, name: str) -> str:
        return self._names[name]


Apply = Callable[[Sequence[RecordedEvent], Tables, Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Projection:
    """A read model that follows the event store.

    Args:
        name: unique within the service.
        tables: the read model; nothing else is written.
        apply: (events in order, table names, transaction) -> None. Deterministic and free of side
            effects: no clock, no call, no publishing; it runs again over all history on a rebuild.
            It gets events of every type and ignores those that it does not know.
        logic_version: raise it when `apply` or a `ddl` changes; the read model is then rebuilt from
            the first event before it goes on. Default 1.
        batch_size: events in a transaction; default 500.
    """

    name: str
    tables: tuple[ReadTable, ...]
    apply: Apply
    logic_version: int = 1
    batch_size: int = 500

    def create_sql(self) -> str:
        """The script of all live tables, for the service's migration."""
        return "\n".join(table.create_sql() for table in self.tables)

    def live(self) -> Tables:
        """The tables that queries read."""
        return Tables(self.tables)

    def twins(self, version: int) -> Tables:
        """The tables of a rebuild."""
        return Tables(self.tables, twin_suffix(version))


def twin_suffix(version: int) -> str:
    """What distinguishes the tables of a version while it is built."""
    return f"_v{version}"
