"""What holds of a journal in which events were declared wrong."""

from dataclasses import replace

from chassis.quantity import Quantity
from services.trace.domain.corrections import put_right, standing
from services.trace.domain.journal import CORRECTIVES, Entry, EntryKind
from tests.unit.trace.test_balance import Journal, kg


def corrected(journal: Journal, wrong: int, held: Quantity | None = None, right: str = "") -> Entry:
    """Declare an entry wrong, and give it."""
    journal.entries[wrong] = replace(journal.entries[wrong], declared_wrong=True)
    entry = journal.entries[wrong]
    journal.add(EntryKind.CORRECTED, remaining=held, reference=entry.event_id, detail={CORRECTIVES: right})
    return entry


def test_a_wrong_entry_does_not_stand_but_a_minting_does() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.MADE, kg(10), reference="t")
    journal.entries[1] = replace(journal.entries[1], event_id=journal.entries[0].event_id)
    journal.add(EntryKind.SHIPPED, kg(10), reference="s")
    for wrong in range(3):
        corrected(journal, wrong)
    assert [entry.kind for entry in standing(journal.entries)] == [
        EntryKind.MINTED,
        *[EntryKind.CORRECTED] * 3,
    ]


def test_only_what_is_of_the_same_kind_and_has_no_reference_takes_that_of_what_was_wrong() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.ARRIVED, kg(1), reference="s")
    journal.add(EntryKind.ARRIVED, kg(2))
    journal.add(EntryKind.ARRIVED, kg(3), reference="other")
    journal.add(EntryKind.OBSERVED)
    corrected(journal, 1, right="e2 e3 e4 unknown")
    assert [entry.reference for entry in standing(journal.entries)[1:4]] == ["s", "other", ""]


def test_what_went_in_is_put_right_by_what_the_lot_held_instead() -> None:
    journal = Journal().mint(100)
    journal.add(EntryKind.USED, kg(30), remaining=kg(70), reference="t")
    journal.add(EntryKind.SPLIT, remaining=kg(50))
    used = corrected(journal, 1, Quantity.of("65000", "GRM"))
    assert put_right(used, journal.entries).quantity == kg(15)
    # Once more, by a correction of the correction.
    corrected(journal, 3, kg(60))
    assert put_right(used, journal.entries).quantity == kg(20)
    assert put_right(replace(used, kind=EntryKind.MADE), journal.entries).quantity == kg(40)
    corrected(journal, 4, kg(200))
    assert put_right(used, journal.entries).quantity == kg(0)


def test_an_amount_stays_where_no_correction_speaks_of_it() -> None:
    journal = Journal().mint(100)
    journal.add(EntryKind.USED, kg(30), remaining=kg(70))
    journal.add(EntryKind.DESTROYED, kg(10), remaining=kg(60))
    corrected(journal, 2, kg(65))
    assert put_right(journal.entries[1], journal.entries) is journal.entries[1]
    used = corrected(journal, 1)
    assert put_right(used, journal.entries) is used
    corrected(journal, 1, Quantity.of("3", "H87"))
    assert put_right(used, journal.entries) is used
