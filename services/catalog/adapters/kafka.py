"""Catalog facts as domain events, and quarantines that come in."""

from typing import Any

from chassis.database import Database, Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.outbox import Outbox, Publication
from chassis.protobuf import money_to_proto
from greenledger.catalog.v1 import events_pb2 as pb
from greenledger.inventory.v1 import events_pb2 as inventory_pb
from services.catalog.adapters.codec import address_to_proto, ingredient_to_proto
from services.catalog.application.recalls import FollowQuarantine
from services.catalog.domain.menu_item import MenuItem
from services.catalog.domain.recall import QuarantinedStock
from services.catalog.domain.venue import Venue


class CatalogEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def venue_created(self, venue: Venue) -> None:
        payload = pb.VenueCreated(
            venue_id=venue.venue_id,
            owner_id=venue.owner_id,
            name=venue.name,
            address=address_to_proto(venue.address),
        )
        await self._publish(Publication("catalog.venue-created", venue.venue_id, payload, "venue"))

    async def menu_item_changed(self, item: MenuItem) -> None:
        payload = pb.MenuItemChanged(
            menu_item_id=item.menu_item_id,
            venue_id=item.venue_id,
            name=item.name,
            price=money_to_proto(item.price),
            ingredients=map(ingredient_to_proto, item.ingredients),
            available=item.available,
            revision=item.revision,
        )
        await self._publish(Publication("catalog.menu-item-changed", item.menu_item_id, payload, "menu-item"))

    async def menu_item_delisted(self, item: MenuItem, recall_id: str, lot_id: str) -> None:
        payload = pb.MenuItemDelisted(
            menu_item_id=item.menu_item_id, venue_id=item.venue_id, recall_id=recall_id, lot_ids=[lot_id]
        )
        await self._publish(
            Publication("catalog.menu-item-delisted", item.menu_item_id, payload, "menu-item")
        )

    async def _publish(self, publication: Publication) -> None:
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [publication])


def quarantine_subscriptions(follow: FollowQuarantine) -> list[Subscription[Any]]:
    """Stock that goes into quarantine and comes out of it."""

    async def quarantined(event: ReceivedEvent[inventory_pb.StockQuarantined], _tx: Transaction) -> None:
        told = event.payload
        if not told.recall_id:
            return  # an older event, whose recall nobody can name
        stock = QuarantinedStock(told.stock_item_id, told.venue_id, told.lot_id, told.product_code)
        await follow.begun(stock, told.recall_id, event.occurred_time)

    async def lifted(event: ReceivedEvent[inventory_pb.QuarantineLifted], _tx: Transaction) -> None:
        await follow.lifted(event.payload.stock_item_id, event.payload.venue_id, event.occurred_time)

    return [
        Subscription("inventory.quarantined", inventory_pb.StockQuarantined, quarantined),
        Subscription("inventory.quarantine-lifted", inventory_pb.QuarantineLifted, lifted),
    ]
