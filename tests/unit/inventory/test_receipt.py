"""Rules of receipts; those of the lot itself are crops'."""

from datetime import UTC, datetime

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from services.inventory.domain.receipt import Goods, Receipt, ensure_receivable, received
from services.inventory.domain.stock import Block

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GOODS = Goods("kale", Quantity.of("0.5", "KGM"), NOW.replace(year=2027))


def receipt(owner_id: str = "owner", amount: str = "500") -> Receipt:
    return Receipt(owner_id, "venue", "lot", Quantity.of(amount, "GRM"))


@pytest.mark.parametrize(
    ("asked", "reason"), [(receipt("stranger"), "NOT_OWNER"), (receipt(amount="0"), "QUANTITY_ZERO")]
)
def test_a_receipt_that_cannot_be_is_refused(asked: Receipt, reason: str) -> None:
    with pytest.raises(DomainError) as refused:
        ensure_receivable(asked, "owner")
    assert refused.value.reason == reason


def test_stock_is_what_was_committed_in_the_lots_unit() -> None:
    item = received(receipt(), GOODS, stock_item_id="item", block=None, at=NOW)
    assert (item.stock_item_id, item.lot_id, item.venue_id) == ("item", "lot", "venue")
    assert (str(item.on_hand), str(item.reserved)) == ("0.5 KGM", "0 KGM")
    assert (item.expires_at, item.received_at, item.quarantined) == (GOODS.expires_at, NOW, False)


def test_what_was_recalled_since_it_was_committed_is_not_stored() -> None:
    with pytest.raises(DomainError) as refused:
        received(receipt(), GOODS, stock_item_id="item", block=Block.RECALL, at=NOW)
    assert refused.value.reason == "LOT_RECALLED"


def test_goods_of_a_lot_that_is_held_meanwhile_are_stored_held():
    item = received(receipt(), GOODS, stock_item_id="item", block=Block.HOLD, at=NOW)
    assert (item.held, item.available(NOW).is_zero) == (True, True)
