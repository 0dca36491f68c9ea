"""Listings and purchases on the live fleet's market, and what is left of the goods."""

from typing import Any

from google.type.money_pb2 import Money

from chassis.testing import eventually
from fleet.testing.live import LiveFleet
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2
from greenledger.market.v1 import market_pb2
from tests.resilience.fleet.crashes import killed_by_its_crash_point
from tests.resilience.fleet.market import CARD, Market, new_id

KILOGRAMS = 10
BOUGHT = 3
PRICE_MINOR = 250


async def create_listing(market: Market, lot_id: str, request_id: str) -> market_pb2.Listing:
    """Put a whole lot of the grower up for sale."""
    trade = market.live.rpc("market")
    request = market_pb2.CreateListingRequest(
        request_id=request_id,
        lot_id=lot_id,
        quantity=Quantity(amount=str(KILOGRAMS), unit_code="KGM"),
        unit_price=Money(currency_code="USD", units=2, nanos=500_000_000),
    )
    return await trade.call(trade.market.CreateListing, request, market.grower)


async def cancel_listing(market: Market, listing_id: str, request_id: str = "") -> market_pb2.Listing:
    """End a sale."""
    trade = market.live.rpc("market")
    request = market_pb2.CancelListingRequest(request_id=request_id or new_id(), listing_id=listing_id)
    return await trade.call(trade.market.CancelListing, request, market.grower)


async def buy(
    market: Market, listing_id: str, request_id: str, method: str = CARD, kilograms: int = BOUGHT
) -> market_pb2.Purchase:
    """The venue's owner buys a part of it."""
    trade = market.live.rpc("market")
    request = market_pb2.BuyFromListingRequest(
        request_id=request_id,
        listing_id=listing_id,
        quantity=Quantity(amount=str(kilograms), unit_code="KGM"),
        payment_method=method,
    )
    return await trade.call(trade.market.BuyFromListing, request, market.owner)


async def listed(market: Market) -> market_pb2.Listing:
    """A new lot that is for sale as a whole."""
    lot_id = await market.mint("carrot", KILOGRAMS)
    return await create_listing(market, lot_id, new_id())


async def outcome(market: Market, listing_id: str, request_id: str, method: str = CARD) -> str:
    """Ask until the answer is final: the purchase's state, or the reason of the refusal."""

    async def ask() -> str:
        bought = await buy(market, listing_id, request_id, method)
        return str(market_pb2.PurchaseState.Name(bought.state)).removeprefix("PURCHASE_STATE_")

    return await market.patiently(ask)


async def bought_killed_at(market: Market, listing_id: str, point: str) -> str:
    """Buy, have the market die at a point and leave it dead; the purchase's request."""
    request_id = new_id()
    await market.live.restart("market", point)
    await killed_by_its_crash_point(market.live, "market", buy(market, listing_id, request_id))
    return request_id


async def purchase_id(live: LiveFleet, request_id: str) -> str:
    """The purchase of a request, once there is one."""
    sql = "SELECT purchase_id::text FROM purchase WHERE request_id = $1"
    found: Any = await eventually(lambda: live.fetchval("market", sql, request_id), 20)
    return str(found)


async def committed(live: LiveFleet, lot_id: str) -> tuple[int, int]:
    """How many kilograms a lot holds, and how many are committed, as the aggregate says."""
    crops, token = live.rpc("crops"), await live.token_of("market")
    # Taking back what never was changes nothing but for a tombstone, and answers with the aggregate.
    request = crops_pb2.ReleaseLotQuantityRequest(request_id=new_id(), lot_id=lot_id, commitment_id=new_id())
    lot = await crops.call(crops.crops.ReleaseLotQuantity, request, token)
    return int(lot.quantity.amount), int(lot.committed_quantity.amount)


async def release_behind(live: LiveFleet, lot_id: str) -> None:
    """Take a lot's commitment back behind its saga's back."""
    crops, token = live.rpc("crops"), await live.token_of("market")
    made = """
    SELECT data->>'commitment_id' FROM event
    WHERE stream_id = 'lot-' || $1 AND type = 'LotQuantityCommitted'
    """
    commitment_id: Any = await live.fetchval("crops", made, lot_id)
    request = crops_pb2.ReleaseLotQuantityRequest(
        request_id=new_id(), lot_id=lot_id, commitment_id=commitment_id
    )
    await crops.call(crops.crops.ReleaseLotQuantity, request, token)


async def recall(market: Market, lot_id: str) -> None:
    """Recall a lot without waiting for anybody who hears of it."""
    crops = market.live.rpc("crops")
    request = crops_pb2.RecallLotRequest(
        request_id=new_id(), lot_id=lot_id, reason="listeria", recall_class=crops_pb2.RECALL_CLASS_I
    )
    await crops.call(crops.crops.RecallLot, request, market.grower)
