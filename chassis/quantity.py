"""Exact quantities of goods with UN/ECE Recommendation 20 units."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fractions import Fraction
from typing import Final, Self

from chassis.errors import InvalidArgument

PLACES: Final = Decimal("0.000001")
LIMIT: Final = Decimal(10) ** 15

# Dimension and factor to its base unit. Sources: UN/ECE Recommendation 20 rev. 17 for the codes;
# the international avoirdupois pound is 0.45359237 kg and the US gallon 3.785411784 L by definition.
_UNITS: Final[dict[str, tuple[str, Decimal]]] = {
    "KGM": ("mass", Decimal(1)),
    "GRM": ("mass", Decimal("0.001")),
    "TNE": ("mass", Decimal(1000)),
    "LBR": ("mass", Decimal("0.45359237")),
    "ONZ": ("mass", Decimal("0.028349523125")),
    "LTR": ("volume", Decimal(1)),
    "MLT": ("volume", Decimal("0.001")),
    "GLL": ("volume", Decimal("3.785411784")),
    "H87": ("count", Decimal(1)),
    "EA": ("count", Decimal(1)),
    "DZN": ("count", Decimal(12)),
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A non-negative amount of one unit, exact to six decimal places.

    Args:
        amount: the number; at most six places, below 10**15.
        unit: UN/ECE Rec 20 code, e.g. "KGM".

    Raises:
        InvalidArgument: UNIT_UNKNOWN, or QUANTITY_INVALID when negative, too large or too fine.
    """

    amount: Decimal
    unit: str

    def __post_init__(self) -> None:
        if self.unit not in _UNITS:
            raise InvalidArgument(
                "UNIT_UNKNOWN",
                f"unit {self.unit!r} is not known; use one of {', '.join(_UNITS)}",
                metadata={"unit": self.unit},
            )
        finite = self.amount.is_finite()
        if not finite or not 0 <= self.amount < LIMIT or self.amount != self.amount.quantize(PLACES):
            raise InvalidArgument(
                "QUANTITY_INVALID", "a quantity is from 0 to below 10^15 with at most six decimal places"
            )

    @classmethod
    def of(cls, amount: str | int | Decimal, unit: str) -> Self:
        """Make one of text or a number.

        Raises:
            InvalidArgument: as the constructor, or the text is no number.
        """
        try:
            return cls(Decimal(amount), unit)
        except InvalidOperation:
            raise InvalidArgument("QUANTITY_INVALID", f"{amount!r} is not a decimal number") from None

    @classmethod
    def exactly(cls, base: Fraction, unit: str) -> Self:
        """So much of the base unit (kg, L, pieces) in a unit of that dimension, without rounding.

        Raises:
            InvalidArgument: UNIT_UNKNOWN; QUANTITY_INVALID when it takes more than six places.
        """
        factor = _UNITS.get(unit, ("", Decimal(1)))[1]
        millionths = base / Fraction(factor) * 10**6
        if millionths.denominator != 1:
            raise InvalidArgument(
                "QUANTITY_INVALID",
                f"the amount cannot be told in {unit} exactly to six decimal places",
                metadata={"unit": unit},
            )
        return cls(Decimal(millionths.numerator).scaleb(-6), unit)

    @property
    def exact(self) -> Fraction:
        """The amount in the base unit of its dimension (kg, L, pieces), not rounded."""
        return Fraction(self.amount) * Fraction(_UNITS[self.unit][1])

    @property
    def is_zero(self) -> bool:
        return self.amount == 0

    def to(self, unit: str) -> "Quantity":
        """The same goods in another unit of the same dimension, rounded half even to six places.

        Raises:
            InvalidArgument: UNIT_UNKNOWN or UNIT_MISMATCH.
        """
        if unit == self.unit:
            return self
        dimension, factor = _UNITS[self.unit]
        other_dimension, other_factor = _UNITS.get(unit, (None, Decimal(1)))
        if other_dimension is None:
            raise InvalidArgument("UNIT_UNKNOWN", f"unit {unit!r} is not known", metadata={"unit": unit})
        if dimension != other_dimension:
            raise InvalidArgument(
                "UNIT_MISMATCH",
                f"{self.unit} measures {dimension}, {unit} measures {other_dimension}",
                metadata={"from": self.unit, "to": unit},
            )
        converted = (self.amount * factor / other_factor).quantize(PLACES, ROUND_HALF_EVEN)
        return Quantity(converted, unit)

    def comparable(self, unit: str) -> bool:
        """Whether the unit measures the same: mass, volume or count."""
        return unit in _UNITS and _UNITS[unit][0] == _UNITS[self.unit][0]

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.amount + other.to(self.unit).amount, self.unit)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.amount - other.to(self.unit).amount, self.unit)

    def __le__(self, other: "Quantity") -> bool:
        return self.amount <= other.to(self.unit).amount

    def __lt__(self, other: "Quantity") -> bool:
        return self.amount < other.to(self.unit).amount

    def times(self, count: int) -> "Quantity":
        """So much of it `count` times."""
        return Quantity(self.amount * count, self.unit)

    @property
    def text(self) -> str:
        """The amount as plain decimal text without trailing zeros, e.g. "12.5"."""
        text = format(self.amount, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text

    def __str__(self) -> str:
        return f"{self.text} {self.unit}"
