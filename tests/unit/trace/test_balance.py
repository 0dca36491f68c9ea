"""Mass balance of journals."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chassis.quantity import Quantity
from services.trace.domain.balance import balance
from services.trace.domain.findings import FindingCode
from services.trace.domain.journal import Entry, EntryKind

START = datetime(2026, 6, 1, tzinfo=UTC)
NOTHING: Mapping[str, Sequence[Entry]] = {}


def kg(amount: str | int) -> Quantity:
    return Quantity.of(amount, "KGM")


class Journal:
    """Entries in the order in which they were recorded."""

    def __init__(self, lot: str = "l") -> None:
        self.lot = lot
        self.entries: list[Entry] = []

    def add(self, kind: EntryKind, quantity: Quantity | None = None, **said: Any) -> None:
        at = START + timedelta(minutes=len(self.entries))
        event = f"e{len(self.entries)}"
        entry = Entry(
            lot_id=self.lot, event_id=event, kind=kind, at=at, recorded=at, quantity=quantity, **said
        )
        self.entries.append(entry)

    def mint(self, amount: str | int) -> "Journal":
        self.add(EntryKind.MINTED, kg(amount), party_id="farm")
        return self

    def split(self, amount: int, remaining: int) -> None:
        self.add(EntryKind.SPLIT_OFF, kg(amount), reference="part")
        self.add(EntryKind.SPLIT, remaining=kg(remaining))


def codes(journal: Journal, transformations: Mapping[str, Sequence[Entry]] = NOTHING) -> list[FindingCode]:
    return [finding.code for finding in balance(journal.lot, journal.entries, transformations).findings]


def test_each_owner_has_a_line_and_the_lines_add_up() -> None:
    journal = Journal().mint(100)
    journal.split(30, 70)
    journal.add(EntryKind.OWNED, party_id="shop", other_id="farm")
    journal.add(EntryKind.DESTROYED, kg(20), remaining=kg(50))
    journal.add(EntryKind.COMMITTED, kg(40), reference="k")
    found = balance("l", journal.entries, {})
    farm, shop = found.lines
    assert found.findings == ()
    assert (farm.holder_id, farm.minted, farm.split_off, farm.transferred, farm.by_movement) == (
        "farm",
        100,
        30,
        70,
        0,
    )
    assert (shop.received, shop.destroyed, shop.committed, shop.by_movement, shop.by_ledger) == (
        70,
        20,
        40,
        50,
        50,
    )


def test_units_are_converted() -> None:
    journal = Journal()
    journal.add(EntryKind.MINTED, Quantity.of(1, "TNE"), party_id="farm")
    journal.add(EntryKind.SPLIT_OFF, Quantity.of(400, "KGM"))
    journal.add(EntryKind.SPLIT, remaining=Quantity.of(600_000, "GRM"))
    [line] = balance("l", journal.entries, {}).lines
    assert (line.unit, line.by_movement, line.by_ledger) == ("TNE", Decimal("0.6"), Decimal("0.6"))
    journal.add(EntryKind.DESTROYED, Quantity.of(3, "H87"))
    assert codes(journal) == [FindingCode.NOT_COMPARABLE]


def test_what_differs_by_more_than_the_tolerance_is_found() -> None:
    journal = Journal().mint(100)
    journal.split(50, 48)
    assert codes(journal) == []
    journal = Journal().mint(100)
    journal.split(50, 47)
    [finding] = balance("l", journal.entries, {}).findings
    assert (finding.code, finding.difference, finding.unit) == (FindingCode.REMAINDER_DIFFERS, -3, "KGM")
    assert balance("l", journal.entries, {}, Decimal("0.03")).findings == ()


def test_more_taken_out_than_was_there_is_found() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.SPLIT_OFF, kg(15), reference="part")
    assert FindingCode.TAKEN_BEYOND_HELD in codes(journal)
    journal = Journal().mint(10)
    journal.add(EntryKind.COMMITTED, kg(11), reference="a")
    assert codes(journal) == [FindingCode.COMMITTED_BEYOND_HELD]
    journal.add(EntryKind.RELEASED, kg(11), reference="a")
    assert codes(journal) == []


def test_what_was_delivered_is_no_longer_set_aside() -> None:
    journal = Journal().mint(100)
    journal.add(EntryKind.COMMITTED, kg(100), reference="sale")
    journal.add(EntryKind.DELIVERED, kg(30), reference="sale", party_id="buyer", other_id="part")
    journal.split(30, 70)
    [line] = balance("l", journal.entries, {}).lines
    assert (line.committed, line.by_ledger, codes(journal)) == (70, 70, [])
    journal.add(EntryKind.RELEASED, kg(70), reference="sale")
    [line] = balance("l", journal.entries, {}).lines
    assert line.committed == 0


def test_a_correction_counts_by_what_it_changed() -> None:
    journal = Journal().mint(100)
    journal.split(20, 80)
    journal.add(EntryKind.CORRECTED, remaining=kg(75))
    [line] = balance("l", journal.entries, {}).lines
    assert (line.corrected, line.by_movement, line.by_ledger) == (-5, 75, 75)


def test_a_venue_cannot_serve_more_than_it_received() -> None:
    journal = Journal().mint(100)
    journal.add(EntryKind.RECEIVED, kg(10), party_id="v")
    journal.add(EntryKind.CONSUMED, Quantity.of(10_200, "GRM"), party_id="v")
    assert codes(journal) == []
    journal.add(EntryKind.CONSUMED, Quantity.of(1, "GRM"), party_id="v")
    assert codes(journal) == [FindingCode.CONSUMED_BEYOND_RECEIVED]


def test_what_was_served_leaves_the_lot_and_the_venue_and_is_not_set_aside_any_more() -> None:
    journal = Journal().mint(100)
    journal.add(EntryKind.COMMITTED, kg(40), reference="k", party_id="v")
    journal.add(EntryKind.RECEIVED, kg(40), party_id="v")
    journal.add(EntryKind.CONSUMED, kg(15), party_id="v")
    journal.add(EntryKind.SERVED, kg(15), remaining=kg(85))
    found = balance("l", journal.entries, {}, Decimal(0))
    assert found.findings == ()
    farm, venue = found.lines
    assert (farm.consumed, farm.committed, farm.by_movement, farm.by_ledger) == (15, 25, 85, 85)
    assert (venue.consumed, venue.by_movement) == (15, 25)


def test_what_venues_receive_was_set_aside_for_them() -> None:
    journal = Journal().mint(100)
    journal.add(EntryKind.COMMITTED, kg(10), reference="k", party_id="v")
    journal.add(EntryKind.RECEIVED, kg(11), party_id="v")
    assert codes(journal) == [FindingCode.RECEIVED_BEYOND_COMMITTED]


def test_a_transformation_is_weighed_with_its_stated_loss() -> None:
    journal = Journal().mint(60)
    said = {"reference": "t", "detail": {"loss": "10", "loss_unit": "KGM"}}
    journal.add(EntryKind.USED, kg(60), remaining=kg(0), **said)
    other, made = Journal("o"), Journal("m")
    other.add(EntryKind.USED, kg(40), **said)
    made.add(EntryKind.MADE, kg(90), **said)
    whole = {"t": [journal.entries[-1], *other.entries, *made.entries]}
    found = balance("l", journal.entries, whole)
    assert found.findings == ()
    assert (found.lines[0].transformed, found.lines[0].lost) == (60, 6)
    less = {"t": [journal.entries[-1], *other.entries]}
    made = Journal("m")
    made.add(EntryKind.MADE, kg(70), **said)
    less["t"] += made.entries
    [finding] = balance("l", journal.entries, less).findings
    assert (finding.code, finding.reference, finding.difference) == (
        FindingCode.TRANSFORMATION_DIFFERS,
        "t",
        -20,
    )
    bottles = Journal("m")
    bottles.add(EntryKind.MADE, Quantity.of(70, "H87"), **said)
    assert codes(journal, {"t": [journal.entries[-1], *bottles.entries]}) == [FindingCode.NOT_COMPARABLE]


def test_a_lot_of_which_nobody_told_the_origin_is_found_and_its_venues_counted() -> None:
    journal = Journal()
    journal.add(EntryKind.RECEIVED, kg(10), party_id="v")
    found = balance("l", journal.entries, {})
    assert [finding.code for finding in found.findings] == [FindingCode.ORIGIN_UNKNOWN]
    assert [(line.holder_id, line.received) for line in found.lines] == [("v", 10)]


@given(
    st.lists(
        st.tuples(st.sampled_from(["split", "use", "destroy", "sell", "serve", "own"]), st.integers(1, 30))
    )
)
def test_a_true_history_always_balances(steps: list[tuple[str, int]]) -> None:
    journal, left = Journal().mint(100), 100
    for step, wanted in steps:
        amount = min(wanted, left)
        if step == "own":
            journal.add(EntryKind.OWNED, party_id=f"p{amount}", other_id="?")
            continue
        left -= amount
        match step:
            case "split":
                journal.split(amount, left)
            case "use":
                journal.add(EntryKind.USED, kg(amount), remaining=kg(left), reference="")
            case "serve":
                journal.add(EntryKind.SERVED, kg(amount), remaining=kg(left))
            case "sell":
                journal.add(EntryKind.SOLD, kg(amount), remaining=kg(left))
            case _:
                journal.add(EntryKind.DESTROYED, kg(amount), remaining=kg(left))
    found = balance("l", journal.entries, {}, Decimal(0))
    assert found.findings == ()
    assert found.lines[-1].by_movement == left
    assert all(line.by_movement == 0 for line in found.lines[:-1])
