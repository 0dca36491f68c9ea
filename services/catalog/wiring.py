"""Where the objects of the catalog meet."""

from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.catalog.v1 import catalog_pb2_grpc
from services.catalog.adapters.db import PostgresMenuItems, PostgresQuarantines, PostgresVenues
from services.catalog.adapters.grpc import CatalogServicer
from services.catalog.adapters.kafka import CatalogEvents, quarantine_subscriptions
from services.catalog.application.menu import CreateMenuItem, MenuQueries, Offers, UpdateMenuItem
from services.catalog.application.recalls import FollowQuarantine
from services.catalog.application.venues import CreateVenue, VenueQueries


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    venues, items = PostgresVenues(database), PostgresMenuItems(database)
    events = CatalogEvents(database, runtime.outbox)
    venue_queries, quarantines = VenueQueries(venues), PostgresQuarantines(database)
    offers = Offers(venues, quarantines)
    follow = FollowQuarantine(database, venues, items, quarantines, events, clock)
    servicer = CatalogServicer(
        CreateVenue(database, venues, events, clock, ids),
        venue_queries,
        CreateMenuItem(database, venue_queries, items, offers, events, clock, ids),
        UpdateMenuItem(database, venue_queries, items, offers, events, clock),
        MenuQueries(items),
        runtime.page_tokens,
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.catalog.v1.CatalogService",
                catalog_pb2_grpc.add_CatalogServiceServicer_to_server,
                servicer,
            )
        ],
        subscriptions=quarantine_subscriptions(follow),
    )
