"""What comes into the balances from outside and goes out of them, and what stands behind them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from chassis.errors import FailedPrecondition, InvalidArgument
from chassis.money import Money
from chassis.quantity import Quantity

MAX_DELIVERIES: Final = 50
"""Out of so many lots a withdrawal is delivered at most: each is a call to crops."""
MIN_DEPOSIT: Final = 1_000
"""The least of a lot that is deposited, in millionths of its unit, so that few lots are dust."""
MIN_LIFE: Final = timedelta(hours=24)
"""What is deposited must keep for so long at least."""


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


def require_depositable(amount: int, expires_at: datetime, now: datetime) -> None:
    """Refuse a deposit that is not worth a lot of the vault, or not for long.

    Raises:
        FailedPrecondition: DEPOSIT_TOO_SMALL, LOT_EXPIRES_SOON.
    """
    if expires_at < now + MIN_LIFE:
        raise FailedPrecondition(
            "LOT_EXPIRES_SOON", f"what is deposited must keep for {MIN_LIFE // timedelta(hours=1)} hours"
        )
    if amount < MIN_DEPOSIT:
        raise FailedPrecondition(
            "DEPOSIT_TOO_SMALL",
            f"a deposit is at least {MIN_DEPOSIT} millionths of a unit",
            metadata={"least_micro": str(MIN_DEPOSIT)},
        )


def allocate(lots: Sequence[VaultLot], amount: int) -> list[Delivery]:
    """So much of lots in their order, out of `MAX_DELIVERIES` of them at most.

    Raises:
        FailedPrecondition: GOODS_NOT_COVERED, they do not hold so much; WITHDRAWAL_TOO_SCATTERED, that many
            of them do not.
    """
    at_once = sum(lot.remaining for lot in lots[:MAX_DELIVERIES])
    if at_once < amount and len(lots) > MAX_DELIVERIES:
        raise FailedPrecondition(
            "WITHDRAWAL_TOO_SCATTERED",
            f"the goods lie in too many lots: {at_once} millionths can be had at once",
            metadata={"at_once_micro": str(at_once)},
        )
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
