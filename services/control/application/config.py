"""Settings that may change while services run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chassis.errors import NotFound
from services.control.application.book import Book
from services.control.application.fleet import Fleet
from services.control.application.ports import History
from services.control.domain.catalogue import CATALOGUE, OVERRIDE, Entry, entry_of, service_of
from services.control.domain.versioned import Versioned


@dataclass(frozen=True, slots=True)
class Setting:
    """An entry and what it is.

    Args:
        name: with its service, if it is for one.
        entry: of the catalogue.
        value: in force.
        stored: the version that says so; a version without a value is one that went back to the default.
    """

    name: str
    entry: Entry
    value: str
    stored: Versioned[str]


class ConfigQueries:
    """Reading settings; all but the history is answered from memory."""

    def __init__(self, fleet: Fleet, history: History[str]) -> None:
        self._fleet = fleet
        self._history = history

    def get(self, name: str) -> Setting:
        """An entry as it is; one for a service that nobody gave a value has that of all services.

        Raises:
            NotFound: CONFIG_NOT_FOUND.
        """
        return self.shown(name, self._fleet.config.get(name, Versioned()))

    def page(self, service: str, after: str, limit: int) -> Sequence[Setting]:
        """Every entry, and every one that was changed for a service, by name.

        Args:
            service: leave out what is for others; empty for nobody left out.
            after: the last name seen; empty for the beginning.
        """
        names = {*CATALOGUE, *self._fleet.config}
        if service:
            names = {name for name in names if service_of(name) in ("", service)}
        chosen = sorted(name for name in names if name > after and _is_known(name))
        return [self.get(name) for name in chosen[:limit]]

    def in_force(self, service: str) -> Sequence[Setting]:
        """Every entry by its plain name, with the value that holds for a service."""
        return [replace(self._nearest(service, name), name=name) for name in CATALOGUE]

    async def versions(self, name: str, before: int | None, limit: int) -> Sequence[Setting]:
        """What an entry was, newest first.

        Raises:
            NotFound: CONFIG_NOT_FOUND.
            Unavailable: the database is away.
        """
        entry_of(name)
        return [self.shown(name, stored) for stored in await self._history.page(name, before, limit)]

    def shown(self, name: str, stored: Versioned[str]) -> Setting:
        """An entry with one of its versions."""
        entry = entry_of(name)
        return Setting(name, entry, stored.value or self._inherited(name, entry), stored)

    def _nearest(self, service: str, name: str) -> Setting:
        own = self._fleet.config.get(f"{service}{OVERRIDE}{name}")
        if own is not None and own.value is not None:
            return self.shown(name, own)
        return self.get(name)

    def _inherited(self, name: str, entry: Entry) -> str:
        if not service_of(name):
            return entry.default
        general = self._fleet.config.get(entry.name)
        return (general.value if general else None) or entry.default


class ChangeConfig:
    """Set and roll back."""

    def __init__(self, book: Book[str], fleet: Fleet, queries: ConfigQueries) -> None:
        self._book = book
        self._fleet = fleet
        self._queries = queries

    async def set(self, name: str, value: str, *, etag: str, by: str, why: str) -> Setting:
        """Give an entry another value.

        Raises:
            NotFound: CONFIG_NOT_FOUND, also for a service that nobody has heard of.
            InvalidArgument: CONFIG_INVALID.
            Aborted: ETAG_MISMATCH.
            Unavailable: the database is away.
        """
        self._require_known(name).require(value)
        stored = await self._book.change(name, lambda _: value, etag=etag, by=by, why=why)
        return self._queries.shown(name, stored)

    async def roll_back(self, name: str, version: int, *, etag: str, by: str, why: str) -> Setting:
        """Make the value of an earlier version the newest; that of version 0 is the default.

        Raises:
            NotFound: CONFIG_NOT_FOUND, VERSION_NOT_FOUND.
            InvalidArgument: CONFIG_INVALID, the bounds are others today.
            Aborted: ETAG_MISMATCH.
            Unavailable: the database is away.
        """
        entry = self._require_known(name)
        value = await self._book.at(name, version)
        if value is not None:
            entry.require(value)
        stored = await self._book.change(name, lambda _: value, etag=etag, by=by, why=why)
        return self._queries.shown(name, stored)

    def _require_known(self, name: str) -> Entry:
        entry, service = entry_of(name), service_of(name)
        if service and service not in self._fleet.services:
            raise NotFound("CONFIG_NOT_FOUND", "no such service is known", resource=("service", service))
        return entry


def _is_known(name: str) -> bool:
    # What an older version stored may have left the catalogue.
    return name.rpartition(OVERRIDE)[2] in CATALOGUE
