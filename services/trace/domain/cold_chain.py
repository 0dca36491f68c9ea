"""Cold-chain breaches: goods that were warmer than they may be, for longer than they may be."""

import heapq
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from services.trace.domain.journal import Reading

BreachPlace = tuple[str, str, str, str]
"""Where a breach stands in a list: by when it began, then by whose it is and who says so."""

_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Limits:
    """When warm goods are a breach.

    Args:
        max_celsius: the highest temperature that is no breach; default 5 (41 F, US Food Code 3-501.16).
        min_duration: shorter ones do not count; default 30 minutes.
        hysteresis: in kelvin; a breach ends when it is colder than the limit less this; default 0.5, so that
            a sensor that wavers about the limit does not tell of many.
    """

    max_celsius: Decimal = Decimal(5)
    min_duration: timedelta = timedelta(minutes=30)
    hysteresis: Decimal = Decimal("0.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """From the first reading above the limit until the first one below it again.

    Args:
        lot_id: whose goods were measured: the lot, one that it was made of, one on the same logistic unit, or
            that unit.
        end: None when no later reading was cold again; then `last` is how long it is known to have lasted.
        last: of the last warm reading.
        readings: how many of them were not cold.
        reported_by: the partner by whose word alone it is known; empty when crops said so.
    """

    lot_id: str
    device_id: str
    start: datetime
    end: datetime | None
    last: datetime
    highest: Decimal
    readings: int
    reported_by: str = ""

    @property
    def duration(self) -> timedelta:
        """How long it is known to have lasted."""
        return (self.end or self.last) - self.start

    @property
    def place(self) -> BreachPlace:
        """Its place in a list."""
        start = self.start.astimezone(UTC).isoformat(timespec="microseconds")
        return start, self.lot_id, self.device_id, self.reported_by


class _Series:
    """The readings of one device on one lot, or those that name no device, in the order of their times."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Breach | None = None

    def add(self, reading: Reading) -> Breach | None:
        """The breach that this reading ended, if it did and if it counts."""
        limits, running = self._limits, self._open
        if running is None:
            if reading.celsius > limits.max_celsius:
                self._open = Breach(
                    lot_id=reading.lot_id,
                    device_id=reading.device_id,
                    start=reading.start,
                    end=None,
                    last=reading.end,
                    highest=reading.celsius,
                    readings=1,
                    reported_by=reading.reported_by,
                )
            return None
        if reading.celsius < limits.max_celsius - limits.hysteresis:
            self._open = None
            return self._counted(running, max(reading.start, running.last))
        self._open = replace(
            running,
            last=max(running.last, reading.end),
            highest=max(running.highest, reading.celsius),
            readings=running.readings + 1,
        )
        return None

    def rest(self) -> Breach | None:
        """The breach that goes on after the last reading."""
        return self._counted(self._open, None) if self._open else None

    def _counted(self, breach: Breach, end: datetime | None) -> Breach | None:
        found = replace(breach, end=end)
        return found if found.duration >= self._limits.min_duration else None


async def breaches(readings: AsyncIterable[Reading], limits: Limits) -> AsyncGenerator[Breach]:
    """The breaches in readings, each when it has ended, and at last those that go on.

    Args:
        readings: by their start; any number, since only what is open is kept.
    """
    series: dict[tuple[str, str, str], _Series] = {}
    async for reading in readings:
        # Names of devices are the words of whoever measured: the same one on another lot may be another
        # device, and cold readings of it must not end a breach of this lot; nor what a partner says of it.
        key = (reading.device_id, reading.lot_id, reading.reported_by)
        found = series.setdefault(key, _Series(limits)).add(reading)
        if found:
            yield found
    for each in series.values():
        if found := each.rest():
            yield found


def until(start: str, sources: Mapping[str, Iterable[tuple[str, datetime | None]]]) -> dict[str, datetime]:
    """Until when what happened to each ancestor happened to what the lot is made of.

    Goods that were taken out of a lot know nothing of what befell it later. Where they left it more than
    once, the last time counts. Ends on circles too.

    Args:
        sources: lot -> the lots that it was made of, and when; None when that is not known.
    """
    known = {start: _EVER}
    order = count()
    frontier = [(0.0, next(order), start)]
    while frontier:
        _, _, lot = heapq.heappop(frontier)
        for source, at in sources.get(lot, ()):
            left = min(known[lot], at or _EVER)
            if source not in known or known[source] < left:
                known[source] = left
                heapq.heappush(frontier, (-left.timestamp(), next(order), source))
    return known


@dataclass(frozen=True, slots=True)
class Stay:
    """A lot on a logistic unit; `end` is None while it is there."""

    lot_id: str
    unit_id: str
    start: datetime
    end: datetime | None


def stays(changes: Iterable[tuple[str, str, datetime, bool]]) -> Iterator[Stay]:
    """Pair packing and unpacking.

    Args:
        changes: lot, unit, time and whether it was packed, in the order of time.
    """
    inside: dict[tuple[str, str], datetime] = {}
    for lot_id, unit_id, at, packed in changes:
        if packed:
            inside.setdefault((lot_id, unit_id), at)
        elif (since := inside.pop((lot_id, unit_id), None)) is not None:
            yield Stay(lot_id, unit_id, since, at)
    for (lot_id, unit_id), since in inside.items():
        yield Stay(lot_id, unit_id, since, None)


@dataclass(frozen=True, slots=True)
class Window:
    """When readings of a lot concern what is asked for; None is without end, or from the beginning.

    Args:
        lot_id: what was measured: a lot or a logistic unit.
        carried: of a unit the lot on it, which decides who may tell of it; empty of a lot.
    """

    lot_id: str
    start: datetime | None
    end: datetime | None
    carried: str = ""


def windows(
    concerned: Mapping[str, datetime], own: Iterable[Stay], others: Iterable[Stay]
) -> Iterator[Window]:
    """Which readings concern a lot: its own, its sources', and those of their units and of lots beside them.

    Args:
        concerned: lots and until when, from `until`.
        own: stays of those lots.
        others: stays of other lots on the same units.
    """
    for lot_id, end in concerned.items():
        yield Window(lot_id, None, None if end == _EVER else end)
    beside: dict[str, list[Stay]] = {}
    for stay in others:
        beside.setdefault(stay.unit_id, []).append(stay)
    for stay in own:
        end = min(stay.end or _EVER, concerned[stay.lot_id])
        if stay.start < end:
            yield Window(stay.unit_id, stay.start, None if end == _EVER else end, stay.lot_id)
        for other in beside.get(stay.unit_id, ()):
            start, last = max(stay.start, other.start), min(end, other.end or _EVER)
            if start < last:
                yield Window(other.lot_id, start, None if last == _EVER else last)
