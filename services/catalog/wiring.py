"""Where the objects of the catalog meet."""

from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.catalog.v1 import catalog_pb2_grpc
from services.catalog.adapters.db import PostgresMenuItems, PostgresVenues
from services.catalog.adapters.grpc import CatalogServicer
from services.catalog.adapters.kafka import CatalogEvents
from services.catalog.application.menu import CreateMenuItem, MenuQueries, UpdateMenuItem
from services.catalog.application.venues import CreateVenue, VenueQueries


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    venues, items = PostgresVenues(database), PostgresMenuItems(database)
    events = CatalogEvents(database, runtime.outbox)
    venue_queries = VenueQueries(venues)
    servicer = CatalogServicer(
        CreateVenue(database, venues, events, clock, ids),
        venue_queries,
        CreateMenuItem(database, venue_queries, items, events, clock, ids),
        UpdateMenuItem(database, venue_queries, items, events, clock),
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
        ]
    )
