"""Quantities told in another unit without rounding."""

import pytest

from chassis.errors import InvalidArgument
from chassis.quantity import Quantity


def test_the_exact_amount_goes_to_another_unit_without_rounding_or_not_at_all() -> None:
    assert Quantity.exactly(Quantity.of("1500", "GRM").exact, "KGM") == Quantity.of("1.5", "KGM")
    assert Quantity.exactly(Quantity.of("2", "LBR").exact, "LBR") == Quantity.of("2", "LBR")
    with pytest.raises(InvalidArgument):
        Quantity.exactly(Quantity.of("0.000001", "LBR").exact, "KGM")
