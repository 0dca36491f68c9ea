"""Where the objects of inventory meet."""

from chassis.background import Every
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.inventory.v1 import inventory_pb2_grpc
from services.inventory.adapters.clients import CatalogClient, CropsClient
from services.inventory.adapters.db import PostgresReservations, PostgresStock
from services.inventory.adapters.grpc import InventoryServicer
from services.inventory.adapters.kafka import InventoryEvents, recalls
from services.inventory.application.quarantine import QuarantineLot
from services.inventory.application.queries import StockQueries
from services.inventory.application.receive import ReceiveStock
from services.inventory.application.reserve import ReservationCommands


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock = runtime.database, runtime.clock
    stock = PostgresStock(database)
    events = InventoryEvents(database, runtime.outbox)
    catalog = CatalogClient(runtime.channels.get("catalog"))
    crops = CropsClient(runtime.channels.get("crops"))
    reservations = ReservationCommands(database, stock, PostgresReservations(database), events, clock)
    servicer = InventoryServicer(
        ReceiveStock(database, stock, crops, catalog, events, clock, runtime.ids),
        reservations,
        StockQueries(stock, catalog),
        runtime.page_tokens,
        clock,
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.inventory.v1.InventoryService",
                inventory_pb2_grpc.add_InventoryServiceServicer_to_server,
                servicer,
            )
        ],
        subscriptions=[recalls(QuarantineLot(database, stock, events))],
        background=[Every("inventory.expiry", reservations.expire, runtime.settings.recovery_interval)],
    )
