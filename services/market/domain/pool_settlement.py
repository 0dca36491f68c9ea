"""What comes into the balances from outside and goes out of them, and what stands behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money
from chassis.quantity import Quantity


class Kind(StrEnum):
    """What is settled, and which way."""

    GOODS_DEPOSIT = "GOODS_DEPOSIT"
    GOODS_WITHDRAWAL = "GOODS_WITHDRAWAL"
    MONEY_DEPOSIT = "MONEY_DEPOSIT"
    MONEY_WITHDRAWAL = "MONEY_WITHDRAWAL"


@dataclass(frozen=True, slots=True)
class Settlement:
    """Goods or money that somebody brings in or takes out.

    Args:
        subject: the lot of a deposit of goods; the product of their withdrawal; the deposit that a
            withdrawal of money gives back; empty for a deposit of money.
        goods: of goods.
        money: of money.
    """

    settlement_id: str
    kind: Kind
    user_id: str
    subject: str
    goods: Quantity | None = None
    money: Money | None = None

    def __post_init__(self) -> None:
        if self.goods is not None and self.goods.is_zero:
            raise InvalidArgument("QUANTITY_ZERO", "there must be something to settle")
        if self.money is not None and self.money.minor == 0:
            raise InvalidArgument("AMOUNT_INVALID", "there must be something to settle")


@dataclass(frozen=True, slots=True)
class VaultLot:
    """A committed quantity of a lot behind a product's balances.

    Args:
        deposit_id: the settlement that brought it.
        owner_id: who owned the lot then, and does as long as something of it is committed.
        remaining: millionths of `unit` that were not delivered.
        reserved: nothing of it is delivered yet, because the launch that brought it may be undone.
    """

    deposit_id: str
    lot_id: str
    commitment_id: str
    owner_id: str
    product_code: str
    unit: str
    remaining: int
    expires_at: datetime
    reserved: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """Part of a vault lot that is to be delivered; `amount` in millionths."""

    deposit_id: str
    lot_id: str
    commitment_id: str
    amount: int


def allocate(lots: Sequence[VaultLot], amount: int) -> list[Delivery]:
    """So much of lots in their order.

    Raises:
        FailedPrecondition: GOODS_NOT_COVERED, they do not hold so much.
    """
    deliveries, missing = [], amount
    for lot in lots:
        part = min(lot.remaining, missing)
        if part:
            deliveries.append(Delivery(lot.deposit_id, lot.lot_id, lot.commitment_id, part))
            missing -= part
    if missing:
        raise not_covered(missing)
    return deliveries


def not_covered(missing: int) -> FailedPrecondition:
    """What is refused while goods of a product were recalled, are held or have expired."""
    return FailedPrecondition(
        "GOODS_NOT_COVERED",
        "goods of this product were recalled, are held or have expired; less is left than balances promise",
        metadata={"missing_micro": str(missing)},
    )
