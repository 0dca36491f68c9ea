"""Where the objects of inventory meet."""

from chassis.background import Every
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.inventory.v1 import inventory_pb2_grpc
from services.inventory.adapters.clients import CatalogClient, CropsClient
from services.inventory.adapters.db import PostgresStock
from services.inventory.adapters.grpc import InventoryServicer
from services.inventory.adapters.kafka import InventoryEvents, holds, recalls, released_recalls
from services.inventory.adapters.reservations import PostgresReservations
from services.inventory.adapters.sagas import EngineReceipts
from services.inventory.application.quarantine import HoldStock, LiftQuarantine, QuarantineLots
from services.inventory.application.queries import StockQueries
from services.inventory.application.receipt_saga import ReceiptSteps
from services.inventory.application.receive import ReceiveStock
from services.inventory.application.reserve import ReservationCommands


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock = runtime.database, runtime.clock
    stock = PostgresStock(database)
    events = InventoryEvents(database, runtime.outbox)
    catalog = CatalogClient(runtime.channels.get("catalog"))
    crops = CropsClient(runtime.channels.get("crops"))
    engine = runtime.saga_engine([ReceiptSteps(stock, crops, events, clock).saga()])
    receipts = EngineReceipts(database, engine)
    reserved = PostgresReservations(database)
    reservations = ReservationCommands(database, stock, reserved, events, clock)
    quarantine = QuarantineLots(database, stock, reserved, events)
    servicer = InventoryServicer(
        ReceiveStock(receipts, stock, catalog, clock, runtime.ids),
        reservations,
        quarantine,
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
        sagas=engine,
        subscriptions=[
            recalls(quarantine),
            released_recalls(LiftQuarantine(database, stock, events)),
            *holds(HoldStock(database, stock)),
        ],
        background=[Every("inventory.expiry", reservations.expire, runtime.settings.recovery_interval)],
    )
