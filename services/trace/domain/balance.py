"""Mass balance: what came into a lot and what left it, holder by holder, and what does not add up."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from chassis.errors import DomainError
from chassis.quantity import Quantity
from services.trace.domain.findings import Finding, FindingCode
from services.trace.domain.journal import Entry, EntryKind

TOLERANCE: Final = Decimal("0.02")
_ZERO: Final = Decimal(0)


@dataclass(slots=True, kw_only=True)
class BalanceLine:
    """A lot in one holder's hands; amounts in `unit`.

    Args:
        holder_id: an owner or a venue; empty when nobody said who owned it.
        received: from the owner before, or into a venue's stock.
        lost: the stated loss of transformations, by the lot's share in them; it is part of `transformed`.
        committed: set aside and neither taken back, delivered nor served; it is still part of what remains.
        consumed: served to guests; told by inventory of a venue, by crops of the owner of what is there.
        corrected: what corrections added; negative when they took away.
        by_ledger: what the lot holds as its own events say; None of a venue, which does not say.
    """

    lot_id: str
    holder_id: str
    unit: str
    minted: Decimal = _ZERO
    received: Decimal = _ZERO
    split_off: Decimal = _ZERO
    transformed: Decimal = _ZERO
    lost: Decimal = _ZERO
    transferred: Decimal = _ZERO
    committed: Decimal = _ZERO
    consumed: Decimal = _ZERO
    destroyed: Decimal = _ZERO
    sold: Decimal = _ZERO
    corrected: Decimal = _ZERO
    by_ledger: Decimal | None = None

    @property
    def by_movement(self) -> Decimal:
        """What should remain; negative when more left than came in."""
        gone = self.split_off + self.transformed + self.transferred + self.consumed + self.destroyed
        return self.minted + self.received + self.corrected - gone - self.sold

    @property
    def came_in(self) -> Decimal:
        """What tolerances are a share of."""
        return self.minted + self.received + max(self.corrected, _ZERO)


@dataclass(frozen=True, slots=True)
class MassBalance:
    """The lines of a lot, owners in turn and then venues, and what does not add up."""

    lines: tuple[BalanceLine, ...]
    findings: tuple[Finding, ...]

    def only(self, holder_id: str) -> "MassBalance":
        """One holder's lines, and the findings that concern this holder or nobody in particular."""
        return MassBalance(
            tuple(line for line in self.lines if line.holder_id == holder_id),
            tuple(finding for finding in self.findings if finding.party_id in ("", holder_id)),
        )


def balance(
    lot_id: str,
    entries: Sequence[Entry],
    transformations: Mapping[str, Sequence[Entry]],
    tolerance: Decimal = TOLERANCE,
) -> MassBalance:
    """Add up a lot.

    Args:
        entries: of the lot, as its services recorded them one after the other.
        transformations: by id, what went into and came out of each that the lot had a part in, of all lots.
        tolerance: share of what came in that may be missing or too much; default 2 %.
    """
    return _Balance(lot_id, tolerance).of(entries, transformations)


class _Balance:
    def __init__(self, lot_id: str, tolerance: Decimal) -> None:
        self.lot_id = lot_id
        self.tolerance = tolerance
        self.findings: list[Finding] = []
        self.unit = ""
        self.set_aside = _ZERO

    def of(self, entries: Sequence[Entry], transformations: Mapping[str, Sequence[Entry]]) -> MassBalance:
        self.unit = _unit(entries)
        owners = self._owners(entries, transformations)
        venues = self._venues(entries)
        self._check_owner(owners[-1], entries)
        self._check_venues(venues, entries)
        for name in sorted(transformations):
            self._check_transformation(name, transformations[name])
        lines = [line for line in owners if line.holder_id or len(owners) > 1 or line.came_in]
        return MassBalance((*lines, *venues), tuple(self.findings))

    def _owners(
        self, entries: Sequence[Entry], transformations: Mapping[str, Sequence[Entry]]
    ) -> list[BalanceLine]:
        lines = [BalanceLine(lot_id=self.lot_id, holder_id="", unit=self.unit)]
        stated: Decimal | None = None
        served = _ZERO
        for entry in entries:
            line = lines[-1]
            before = stated or _ZERO
            if entry.remaining:
                stated = self._in_unit(entry.remaining, entry)
            match entry.kind:
                case EntryKind.MINTED:
                    line.holder_id = line.holder_id or entry.party_id
                    line.minted += self._amount(entry)
                    stated = line.minted if stated is None else stated
                case EntryKind.SPLIT_OFF:
                    line.split_off += self._amount(entry)
                case EntryKind.USED:
                    line.transformed += self._amount(entry)
                    line.lost += self._loss(entry, transformations.get(entry.reference, ()))
                case EntryKind.DESTROYED:
                    line.destroyed += self._amount(entry)
                case EntryKind.SERVED:
                    line.consumed += self._amount(entry)
                    served += self._amount(entry)
                case EntryKind.SOLD:
                    line.sold += self._amount(entry)
                case EntryKind.CORRECTED if entry.remaining:
                    # Against what the lot said before: what does not add up is not corrected by that.
                    line.corrected += (stated or _ZERO) - before
                case EntryKind.OWNED:
                    held = max(line.by_movement, _ZERO)
                    line.transferred += held
                    line.by_ledger = _ZERO
                    lines.append(
                        BalanceLine(
                            lot_id=self.lot_id, holder_id=entry.party_id, unit=self.unit, received=held
                        )
                    )
                case _:
                    pass
        lines[-1].by_ledger = stated
        self.set_aside = sum(self._commitments(entries).values(), _ZERO)
        lines[-1].committed = max(self.set_aside - served, _ZERO)
        return lines

    def _commitments(self, entries: Iterable[Entry]) -> dict[str, Decimal]:
        open_: dict[str, Decimal] = defaultdict(lambda: _ZERO)
        for entry in entries:
            if entry.kind is EntryKind.COMMITTED:
                open_[entry.reference] += self._amount(entry)
            elif entry.kind in (EntryKind.RELEASED, EntryKind.DELIVERED):
                open_[entry.reference] -= self._amount(entry)
        return open_

    def _venues(self, entries: Iterable[Entry]) -> list[BalanceLine]:
        lines: dict[str, BalanceLine] = {}
        for entry in entries:
            if entry.kind not in (EntryKind.RECEIVED, EntryKind.CONSUMED):
                continue
            line = lines.setdefault(
                entry.party_id,
                BalanceLine(lot_id=self.lot_id, holder_id=entry.party_id, unit=self.unit),
            )
            if entry.kind is EntryKind.RECEIVED:
                line.received += self._amount(entry)
            else:
                line.consumed += self._amount(entry)
        return [lines[venue] for venue in sorted(lines)]

    def _check_owner(self, line: BalanceLine, entries: Sequence[Entry]) -> None:
        if not any(entry.kind is EntryKind.MINTED for entry in entries):
            self._find(FindingCode.ORIGIN_UNKNOWN, line.holder_id, "Nobody said where the lot came from.")
            return
        allowed = line.came_in * self.tolerance
        if line.by_movement < -allowed:
            message = "More was taken out of the lot than came into it."
            self._find(FindingCode.TAKEN_BEYOND_HELD, line.holder_id, message, line.by_movement)
        difference = (line.by_ledger or _ZERO) - line.by_movement
        if abs(difference) > allowed:
            message = "What the lot says it holds differs from what came in and went out."
            self._find(FindingCode.REMAINDER_DIFFERS, line.holder_id, message, difference)
        excess = line.committed - (line.by_ledger or _ZERO)
        if excess > allowed:
            message = "More is set aside than the lot holds."
            self._find(FindingCode.COMMITTED_BEYOND_HELD, line.holder_id, message, excess)

    def _check_venues(self, venues: Iterable[BalanceLine], entries: Sequence[Entry]) -> None:
        received = _ZERO
        for line in venues:
            received += line.received
            excess = line.consumed - line.received
            if excess > line.received * self.tolerance:
                message = "More was taken out of the venue's stock than came into it."
                self._find(FindingCode.CONSUMED_BEYOND_RECEIVED, line.holder_id, message, excess)
        committed = self.set_aside  # also what was served of it since
        known = any(entry.kind is EntryKind.COMMITTED for entry in entries)
        if known and received - committed > committed * self.tolerance:
            message = "Venues received more than was set aside for them."
            self._find(FindingCode.RECEIVED_BEYOND_COMMITTED, "", message, received - committed)

    def _check_transformation(self, name: str, entries: Sequence[Entry]) -> None:
        try:
            used = _sum(entries, EntryKind.USED)
            made = _sum(entries, EntryKind.MADE)
            loss = _loss(entries)
            if used is None or made is None:
                return
            base = _base(used)
            before, after = used.to(base).amount, (made + loss if loss else made).to(base).amount
        except DomainError:
            message = "What went in and what came out are not measured alike."
            self._find(FindingCode.NOT_COMPARABLE, "", message, reference=name)
            return
        if abs(after - before) > before * self.tolerance:
            message = "What came out and the stated loss differ from what went in."
            self._find(
                FindingCode.TRANSFORMATION_DIFFERS, "", message, after - before, reference=name, unit=base
            )

    def _loss(self, entry: Entry, siblings: Sequence[Entry]) -> Decimal:
        """The lot's share of what the transformation lost."""
        try:
            used, loss = _sum(siblings, EntryKind.USED), _loss(siblings)
            if not used or not loss or not entry.quantity or used.is_zero:
                return _ZERO
            lost = loss.to(self.unit).amount
            return (lost * entry.quantity.to(used.unit).amount / used.amount).quantize(Decimal("0.000001"))
        except DomainError:
            return _ZERO

    def _amount(self, entry: Entry) -> Decimal:
        return self._in_unit(entry.quantity, entry) if entry.quantity else _ZERO

    def _in_unit(self, quantity: Quantity, entry: Entry) -> Decimal:
        if quantity.comparable(self.unit):
            return quantity.to(self.unit).amount
        message = f"{quantity} cannot be told in {self.unit}, in which the lot is measured."
        self._find(FindingCode.NOT_COMPARABLE, entry.party_id, message, reference=entry.reference)
        return _ZERO

    def _find(
        self,
        code: FindingCode,
        party_id: str,
        message: str,
        difference: Decimal | None = None,
        *,
        reference: str = "",
        unit: str = "",
    ) -> None:
        self.findings.append(
            Finding(
                code=code,
                lot_id=self.lot_id,
                party_id=party_id,
                reference=reference,
                message=message,
                difference=difference,
                unit=(unit or self.unit) if difference is not None else "",
            )
        )


def _unit(entries: Sequence[Entry]) -> str:
    """What the lot is measured in: as it was minted, else as was first said of it."""
    minted = [entry for entry in entries if entry.kind is EntryKind.MINTED]
    for entry in (*minted, *entries):
        if entry.quantity:
            return entry.quantity.unit
    return "KGM"


def _sum(entries: Iterable[Entry], kind: EntryKind) -> Quantity | None:
    total: Quantity | None = None
    for entry in entries:
        if entry.kind is kind and entry.quantity:
            total = entry.quantity if total is None else total + entry.quantity
    return total


def _loss(entries: Iterable[Entry]) -> Quantity | None:
    for entry in entries:
        if entry.detail.get("loss"):
            return Quantity.of(entry.detail["loss"], entry.detail["loss_unit"])
    return None


def _base(quantity: Quantity) -> str:
    return next(unit for unit in ("KGM", "LTR", "H87") if quantity.comparable(unit))
