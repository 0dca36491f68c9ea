"""Protobuf to domain and back."""

from chassis.protobuf import (
    id_from_proto,
    money_from_proto,
    money_to_proto,
    quantity_from_proto,
    quantity_to_proto,
    timestamp_from_proto,
    timestamp_to_proto,
)
from greenledger.crops.v1 import crops_pb2
from greenledger.market.v1 import market_pb2 as pb
from services.market.application.ports import ListingFilter
from services.market.domain import listing as listings
from services.market.domain import purchase as purchases
from services.market.domain.collection import Collection
from services.market.domain.listing import Block, Goods, Listing, Offer
from services.market.domain.purchase import Purchase

_STATES = {state: pb.ListingState.Value(f"LISTING_STATE_{state.value}") for state in listings.State}
_STATES_FROM = {number: state for state, number in _STATES.items()}
_BLOCKS = {
    Block.NONE: pb.BLOCK_REASON_UNSPECIFIED,
    Block.HELD: pb.BLOCK_REASON_HELD,
    Block.RECALLED: pb.BLOCK_REASON_RECALLED,
}
_PURCHASE_STATES = {
    state: pb.PurchaseState.Value(f"PURCHASE_STATE_{state.value}") for state in purchases.State
}


def collection_to_proto(collection: Collection) -> pb.Collection:
    """A collection as the contract shows it."""
    return pb.Collection(
        collection_id=collection.collection_id,
        owner_id=collection.owner_id,
        name=collection.name,
        description=collection.description,
        lot_ids=collection.lot_ids,
        create_time=timestamp_to_proto(collection.created_at),
        update_time=timestamp_to_proto(collection.updated_at),
    )


def offer_from_proto(request: pb.CreateListingRequest, seller_id: str) -> Offer:
    """What somebody wants to list.

    Raises:
        InvalidArgument: UNIT_UNKNOWN, QUANTITY_INVALID or AMOUNT_INVALID.
    """
    return Offer(
        seller_id=seller_id,
        lot_id=id_from_proto(request.lot_id, "lot_id"),
        quantity=quantity_from_proto(request.quantity),
        unit_price=money_from_proto(request.unit_price),
    )


def goods_from_proto(response: crops_pb2.CommitLotQuantityResponse) -> Goods:
    """What crops has committed."""
    return Goods(
        lot_code=response.lot.lot_code,
        product_code=response.lot.product_code,
        quantity=quantity_from_proto(response.committed),
        expires_at=timestamp_from_proto(response.lot.expire_time),
    )


def listing_state_to_proto(state: listings.State) -> pb.ListingState.ValueType:
    """A listing's state."""
    return _STATES[state]


def listing_to_proto(listing: Listing) -> pb.Listing:
    """A listing as the contract shows it."""
    return pb.Listing(
        listing_id=listing.listing_id,
        seller_id=listing.seller_id,
        lot_id=listing.lot_id,
        lot_code=listing.lot_code,
        product_code=listing.product_code,
        quantity=quantity_to_proto(listing.quantity),
        remaining=quantity_to_proto(listing.remaining),
        unit_price=money_to_proto(listing.unit_price),
        price_unit_code=listing.price_unit,
        state=_STATES[listing.state],
        expire_time=timestamp_to_proto(listing.expires_at),
        create_time=timestamp_to_proto(listing.created_at),
        update_time=timestamp_to_proto(listing.updated_at),
        block_reason=_BLOCKS[listing.block],
    )


def listing_filter(request: pb.ListListingsRequest) -> ListingFilter:
    """Which listings are wanted."""
    return ListingFilter(
        product_code=request.product_code,
        lot_id=request.lot_id,
        seller_id=request.seller_id,
        collection_id=request.collection_id,
        state=_STATES_FROM.get(request.state),
    )


def purchase_to_proto(purchase: Purchase) -> pb.Purchase:
    """A purchase as the contract shows it."""
    return pb.Purchase(
        purchase_id=purchase.purchase_id,
        listing_id=purchase.listing_id,
        lot_id=purchase.lot_id,
        product_code=purchase.product_code,
        seller_id=purchase.seller_id,
        buyer_id=purchase.buyer_id,
        quantity=quantity_to_proto(purchase.quantity),
        unit_price=money_to_proto(purchase.unit_price),
        price_unit_code=purchase.price_unit,
        total=money_to_proto(purchase.total),
        state=_PURCHASE_STATES[purchase.state],
        delivered_lot_id=purchase.delivered_lot_id,
        delivered_lot_code=purchase.delivered_lot_code,
        failure_reason=purchase.failure_reason,
        create_time=timestamp_to_proto(purchase.created_at),
        update_time=timestamp_to_proto(purchase.updated_at),
    )


def price_to_proto(purchase: Purchase) -> pb.Price:
    """What somebody paid, without saying who."""
    return pb.Price(
        product_code=purchase.product_code,
        unit_price=money_to_proto(purchase.unit_price),
        price_unit_code=purchase.price_unit,
        quantity=quantity_to_proto(purchase.quantity),
        sell_time=timestamp_to_proto(purchase.updated_at),
    )
