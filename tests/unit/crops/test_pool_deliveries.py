"""What comes out of a pool may go back to the lot's owner."""

from dataclasses import replace

from services.crops.domain.events import Purpose
from tests.unit.crops.lots import GROWER
from tests.unit.crops.test_deliveries import WISH, delivered, kg, on_sale


def test_goods_of_a_pool_go_back_to_the_owner_as_a_part_that_was_not_handed_over() -> None:
    state, new = delivered(on_sale(purpose=Purpose.POOL), replace(WISH, new_owner_id=GROWER))
    assert (new.owner_id, new.custodian_id, new.transfer_count, new.version) == (GROWER, GROWER, 0, 1)
    assert (state.quantity, state.committed) == (kg("90"), kg("20"))
