"""What was served out of a venue's stock: always recorded, and whatever does not fit is flagged."""

from collections.abc import Callable
from typing import Any

import pytest

from chassis.errors import InvalidArgument
from chassis.protobuf import quantity_to_proto
from chassis.quantity import Quantity
from greenledger.crops.v1 import events_pb2
from services.crops.adapters.events import encode
from services.crops.adapters.kafka import servings
from services.crops.domain.commitment import commit, release
from services.crops.domain.correction import correct
from services.crops.domain.doubts import doubts
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.findings import FindingCode
from services.crops.domain.events import LotServed, Purpose, Taken
from services.crops.domain.lot import Commitment, Lot, LotState, evolve
from services.crops.domain.lot_epcis import visibility_event
from services.crops.domain.serving import Serving, serve
from tests.unit.crops.lots import GROWER, LOT_ID, MAKER, NOW, lot
from tests.unit.crops.test_shipments import held, recalled, refusal

VENUE = "66666666-6666-4666-8666-666666666666"


def kg(amount: str) -> Quantity:
    return Quantity.of(amount, "KGM")


def received(state: Lot, amount: str, stock: str = "s1", venue: str = VENUE) -> Lot:
    wanted = Commitment(kg(amount), Purpose.RECEIPT, venue, MAKER)
    made = commit(state, wanted, commitment_id=stock, owner_id=GROWER, now=NOW)
    assert made is not None
    return evolve(state, made)


def serving(*parts: tuple[str, str], order: str = "order") -> Serving:
    return Serving(LOT_ID, order, VENUE, tuple((stock, kg(amount)) for stock, amount in parts), NOW)


def served(state: Lot, *parts: tuple[str, str], order: str = "order") -> LotServed:
    return serve(state, serving(*parts, order=order), now=NOW)


def codes(state: Lot, fact: LotServed) -> list[FindingCode]:
    return [doubt.code for doubt in doubts(state, fact)]


def test_what_is_served_leaves_the_lot_and_its_commitment_together() -> None:
    state = received(lot(), "30")
    fact = served(state, ("s1", "10"), ("s1", "5"))
    assert (fact.quantity, fact.taken, fact.remaining) == (kg("15"), (Taken("s1", kg("15")),), kg("85"))
    after = evolve(state, fact)
    assert (after.quantity, after.committed, after.uncommitted) == (kg("85"), kg("15"), kg("70"))
    assert codes(state, fact) == []


def test_a_lot_that_was_eaten_is_empty() -> None:
    state = received(lot(), "100")
    after = evolve(state, served(state, ("s1", "100")))
    assert (after.state, after.committed.is_zero) == (LotState.EMPTY, True)


def test_a_receipt_that_is_released_gives_back_what_was_not_served() -> None:
    state = received(lot(), "30")
    state = evolve(state, served(state, ("s1", "10")))
    event = release(state, commitment_id="s1", actor=MAKER, now=NOW)
    assert event is not None
    assert event.quantity == kg("20")
    assert evolve(state, event).uncommitted == kg("90")


def test_a_commitment_asked_for_again_is_the_same_after_some_of_it_was_served() -> None:
    state = received(lot(), "30")
    state = evolve(state, served(state, ("s1", "10")))
    wanted = Commitment(kg("30"), Purpose.RECEIPT, VENUE, MAKER)
    assert commit(state, wanted, commitment_id="s1", owner_id=GROWER, now=NOW) is None


def test_goods_come_out_of_the_receipt_that_brought_them() -> None:
    state = received(received(lot(), "30"), "30", "s2")
    assert served(state, ("s2", "10")).taken == (Taken("s2", kg("10")),)


def test_where_no_receipt_is_named_like_the_stock_any_of_the_venue_will_do_but_no_other() -> None:
    state = received(received(received(lot(), "5", "a"), "5", "b"), "5", "c", venue="another")
    fact = served(state, ("older", "8"))
    assert fact.taken == (Taken("a", kg("5")), Taken("b", kg("3")))
    assert codes(state, fact) == []


@pytest.mark.parametrize(
    ("committed", "stock", "taken", "remaining"),
    [("30", "s1", "30", "60"), ("100", "s1", "40", "60"), ("", "s1", "0", "60")],
    ids=["beyond the receipt", "all there", "never received"],
)
def test_more_than_was_received_is_recorded_and_flagged(
    committed: str, stock: str, taken: str, remaining: str
) -> None:
    state = received(lot(), committed) if committed else lot()
    fact = served(state, (stock, "40"))
    assert sum((each.quantity.amount for each in fact.taken), start=kg("0").amount) == kg(taken).amount
    assert (fact.quantity, fact.remaining) == (kg("40"), kg(remaining))
    expected = [] if taken == "40" else [FindingCode.QUANTITY_EXCEEDED]
    assert codes(state, fact) == expected


def test_what_others_have_committed_is_not_served_away() -> None:
    state = received(lot(), "95", venue="another")
    fact = served(state, ("s9", "40"))
    assert (fact.taken, fact.remaining) == ((), kg("95"))
    assert codes(state, fact) == [FindingCode.QUANTITY_EXCEEDED]


def test_of_a_receipt_that_was_taken_back_nothing_is_left_to_serve() -> None:
    state = received(lot(), "30")
    event = release(state, commitment_id="s1", actor=MAKER, now=NOW)
    assert event is not None
    state = evolve(state, event)
    fact = served(state, ("s1", "10"))
    assert (fact.taken, fact.remaining, evolve(state, fact).uncommitted) == ((), kg("90"), kg("90"))
    assert codes(state, fact) == [FindingCode.QUANTITY_EXCEEDED]


@pytest.mark.parametrize("block", [recalled, held])
def test_what_was_recalled_or_held_meanwhile_was_served_all_the_same(block: Callable[[Lot], Lot]) -> None:
    state = block(received(lot(), "30"))
    fact = served(state, ("s1", "10"))
    assert evolve(state, fact).quantity == kg("90")
    assert evolve(state, fact).state is state.state
    assert codes(state, fact) == [FindingCode.SERVED_WHILE_BLOCKED]


def test_it_counts_in_the_lots_unit_or_not_at_all() -> None:
    state = lot(quantity=Quantity.of("1", "TNE"))
    fact = served(state, ("s1", "40"))
    assert (fact.quantity, fact.remaining) == (Quantity.of("0.04", "TNE"), Quantity.of("0.96", "TNE"))
    with pytest.raises(InvalidArgument):
        serve(lot(quantity=Quantity.of("1", "LTR")), serving(("s1", "1")), now=NOW)


def test_an_order_and_a_lot_are_one_serving_whose_id_is_that_of_the_event() -> None:
    fact = served(lot(), ("s1", "1"), order="a")
    assert encode(fact).event_id == fact.serving_id == served(lot(), ("s1", "2"), order="a").serving_id
    assert fact.serving_id != served(lot(), ("s1", "1"), order="b").serving_id
    assert "order" not in str(encode(fact).data)


def test_partners_are_told_of_the_venue_and_not_of_the_order() -> None:
    fact = served(received(lot(), "30"), ("s1", "10"))
    told = visibility_event(fact.serving_id, NOW, fact)
    assert isinstance(told, m.ObjectEvent)
    assert (told.action, told.biz_step, told.disposition) == ("DELETE", "retail_selling", "retail_sold")
    assert told.read_point == m.Place(id=f"urn:uuid:{VENUE}")
    assert told.biz_transactions is None


def test_of_many_orders_others_are_told_once_with_the_sum() -> None:
    state, facts = received(lot(), "30"), []
    for order in "abc":
        facts.append(served(state, ("s1", "10"), order=order))
        state = evolve(state, facts[-1])
    [told] = servings(facts)
    assert (told.topic, told.key) == ("crop.served", LOT_ID)
    assert told.payload == events_pb2.LotServed(
        lot_id=LOT_ID,
        quantity=quantity_to_proto(kg("30")),
        remaining=quantity_to_proto(kg("70")),
        servings=3,
    )


def test_only_operators_declare_a_serving_wrong() -> None:
    state = evolve(received(lot(), "30"), fact := served(received(lot(), "30"), ("s1", "10")))
    facts: dict[str, Any] = {
        "history": {"served": fact},
        "event_id": "served",
        "reason": "r",
        "corrective_event_ids": [],
    }
    ask = {**facts, "quantity": None, "etag": "", "actor": GROWER, "now": NOW}
    assert refusal(lambda: correct(state, **ask, is_operator=False)) == "NOT_TELLER"
    assert correct(state, **ask, is_operator=True).event_id == "served"
