"""The receipt saga: commit the goods in crops, then store them.

Committed goods can be neither received again nor split off nor transferred, so that they count once. Until
they are stored every failure releases them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from chassis.clock import Clock
from chassis.errors import NotFound
from chassis.quantity import Quantity
from chassis.saga import Retry, Saga, Step, StepContext
from services.inventory.application.ports import Crops, Events, Stock
from services.inventory.domain.events import Received
from services.inventory.domain.receipt import Goods, Receipt, received

NAME = "receive_stock"
DEADLINE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ReceiptData:
    """What the saga is started with; the id of the stock is chosen before, so that it is one for ever."""

    receipt: Receipt
    stock_item_id: str

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        receipt = self.receipt
        return {
            "owner_id": receipt.owner_id,
            "venue_id": receipt.venue_id,
            "lot_id": receipt.lot_id,
            "amount": receipt.quantity.text,
            "unit": receipt.quantity.unit,
            "stock_item_id": self.stock_item_id,
            # Named like the stock that will come of it, so that crops knows what is served by what it came.
            "commitment_id": self.stock_item_id,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what `to_json` made; further keys are ignored."""
        quantity = Quantity.of(data["amount"], data["unit"])
        receipt = Receipt(data["owner_id"], data["venue_id"], data["lot_id"], quantity)
        return cls(receipt, data["stock_item_id"])


class ReceiptSteps:
    """The saga's actions."""

    def __init__(self, stock: Stock, crops: Crops, events: Events, clock: Clock) -> None:
        self._stock = stock
        self._crops = crops
        self._events = events
        self._clock = clock

    def saga(self) -> Saga:
        """The definition."""
        quick = Retry(attempts=5, first=timedelta(milliseconds=100), ceiling=timedelta(seconds=2))
        return Saga(
            NAME,
            version=1,
            deadline=DEADLINE,
            steps=(
                Step("commit", self.commit, undo=self.release, retry=quick),
                Step("store", self.store, pivot=True, local=True),
            ),
        )

    async def commit(self, ctx: StepContext) -> dict[str, Any]:
        receipt = ReceiptData.from_json(ctx.data).receipt
        # One from before commitments were named has that of the step.
        goods = await self._crops.commit(ctx.data.get("commitment_id", ctx.idempotency_key), receipt)
        return {
            "goods": {
                "product_code": goods.product_code,
                "amount": goods.quantity.text,
                "unit": goods.quantity.unit,
                "expires_at": goods.expires_at.isoformat(),
            }
        }

    async def release(self, ctx: StepContext) -> None:
        try:
            commitment_id = ctx.data.get("commitment_id", ctx.action_key)
            await self._crops.release(ctx.idempotency_key, ctx.data["lot_id"], commitment_id)
        except NotFound:
            return  # of no lot nothing is committed, nor will be

    async def store(self, ctx: StepContext) -> None:
        data, receipt = ReceiptData.from_json(ctx.data), ReceiptData.from_json(ctx.data).receipt
        # A recall that is being applied now either sees the stock and blocks it, or is seen here.
        await self._stock.lock_lots([receipt.lot_id])
        item = received(
            receipt,
            _goods(ctx.data["goods"]),
            stock_item_id=data.stock_item_id,
            block=await self._stock.block_of(receipt.lot_id),
            at=self._clock.now(),
        )
        await self._stock.add(item)
        await self._events.publish([Received(item)])


def _goods(data: Mapping[str, Any]) -> Goods:
    quantity = Quantity.of(data["amount"], data["unit"])
    return Goods(data["product_code"], quantity, datetime.fromisoformat(data["expires_at"]))
