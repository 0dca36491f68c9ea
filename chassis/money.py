"""Money as integer minor units of a currency."""

from dataclasses import dataclass
from typing import Final

from chassis.errors import InvalidArgument

LIMIT: Final = 10**15

# ISO 4217 currencies whose minor unit is not a hundredth; every other has two decimals.
_DECIMALS: Final[dict[str, int]] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}


def decimals(currency: str) -> int:
    """How many decimals the currency's minor unit stands for."""
    return _DECIMALS.get(currency, 2)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that is not negative.

    Args:
        minor: whole minor units (cents), 0 to below 10**15.
        currency: ISO 4217 code.

    Raises:
        InvalidArgument: AMOUNT_INVALID.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if not 0 <= self.minor < LIMIT:
            raise InvalidArgument("AMOUNT_INVALID", "an amount is from 0 to below 10^15 minor units")
        if len(self.currency) != 3 or not (self.currency.isascii() and self.currency.isupper()):
            raise InvalidArgument("AMOUNT_INVALID", f"{self.currency!r} is not an ISO 4217 currency code")

    def __add__(self, other: "Money") -> "Money":
        return Money(self.minor + self._same(other).minor, self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(self.minor - self._same(other).minor, self.currency)

    def __le__(self, other: "Money") -> bool:
        return self.minor <= self._same(other).minor

    def times(self, count: int) -> "Money":
        """So much of it `count` times."""
        return Money(self.minor * count, self.currency)

    def _same(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise InvalidArgument(
                "CURRENCY_MISMATCH",
                f"{self.currency} and {other.currency} do not add up",
                metadata={"currencies": f"{self.currency},{other.currency}"},
            )
        return other
