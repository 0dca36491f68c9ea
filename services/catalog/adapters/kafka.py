"""Catalog facts as domain events."""

from chassis.database import Database
from chassis.outbox import Outbox, Publication
from chassis.protobuf import money_to_proto
from greenledger.catalog.v1 import events_pb2 as pb
from services.catalog.adapters.codec import address_to_proto, ingredient_to_proto
from services.catalog.domain.menu_item import MenuItem
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

    async def _publish(self, publication: Publication) -> None:
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [publication])
