"""What a launch brings to the market."""

from dataclasses import dataclass
from datetime import datetime

from chassis.errors import FailedPrecondition
from chassis.money import Money
from chassis.quantity import Quantity
from services.market.domain.pool import Pool, Share, State, add_liquidity, micro, minor, require_amount
from services.market.domain.pool_settlement import require_depositable


@dataclass(frozen=True, slots=True)
class Harvest:
    """The lot that is minted."""

    lot_code: str
    product_code: str
    description: str
    variety: str
    quantity: Quantity
    farm_name: str
    country_code: str
    harvest_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True)
class Launch:
    """A product's first lot, the liquidity of its pool and its campaign.

    Args:
        goods: part of the lot, in its unit.
        money: out of the owner's balance.
    """

    owner_id: str
    harvest: Harvest
    goods: Quantity
    money: Money
    fee_bps: int
    title: str
    message: str

    def pool(self, pool_id: str, at: datetime) -> tuple[Pool, Pool, Share]:
        """The empty pool, the funded one, and what went in; nobody trades with it yet.

        Raises:
            InvalidArgument: UNIT_MISMATCH, AMOUNT_INVALID, FEE_INVALID.
            FailedPrecondition: LIQUIDITY_TOO_SMALL, POOL_FULL; QUANTITY_EXCEEDED, the lot has less; what
                `require_depositable` refuses.
        """
        unit, currency = self.harvest.quantity.unit, self.money.currency
        goods = require_amount(micro(self.goods, unit), "goods")
        if not self.goods <= self.harvest.quantity:
            raise FailedPrecondition("QUANTITY_EXCEEDED", f"the lot holds {self.harvest.quantity}")
        empty = Pool(
            pool_id,
            self.harvest.product_code,
            unit,
            currency,
            self.fee_bps,
            self.owner_id,
            at,
            state=State.LAUNCHING,
        )
        require_depositable(goods, self.harvest.expire_time, at)
        funded, part = add_liquidity(empty, goods, minor(self.money, currency))
        return empty, funded, part
