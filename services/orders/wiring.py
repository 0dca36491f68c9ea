"""Where the objects of orders meet."""

from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from chassis.wakeup import Watchers
from greenledger.orders.v1 import orders_pb2_grpc
from services.orders.adapters.clients import CatalogClient, InventoryClient, PaymentsClient
from services.orders.adapters.db import PostgresCarts, PostgresOrders
from services.orders.adapters.grpc import OrderServicer
from services.orders.adapters.kafka import OrderEvents, affected_orders
from services.orders.adapters.sagas import EngineCheckouts, EngineRecalls
from services.orders.application.carts import CartCommands
from services.orders.application.checkout import Checkout
from services.orders.application.checkout_saga import CheckoutSteps
from services.orders.application.queries import OrderQueries
from services.orders.application.recalled_order import RecalledOrderSteps, SeeToAffectedOrder


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock = runtime.database, runtime.clock
    changes = Watchers()
    orders = PostgresOrders(database, changes)
    carts = PostgresCarts(database)
    events = OrderEvents(database, runtime.outbox)
    catalog = CatalogClient(runtime.channels.get("catalog"))
    inventory = InventoryClient(runtime.channels.get("inventory"))
    payments = PaymentsClient(runtime.channels.get("payments"))
    engine = runtime.saga_engine(
        [
            CheckoutSteps(orders, carts, inventory, payments, events, clock).saga(),
            RecalledOrderSteps(orders, payments, events, clock).saga(),
        ]
    )
    sagas = EngineCheckouts(database, engine)
    servicer = OrderServicer(
        CartCommands(database, carts, catalog, clock),
        Checkout(database, orders, carts, catalog, sagas, events, clock, runtime.ids),
        OrderQueries(orders, catalog, changes),
        runtime.page_tokens,
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.orders.v1.OrderService",
                orders_pb2_grpc.add_OrderServiceServicer_to_server,
                servicer,
            )
        ],
        sagas=engine,
        subscriptions=[affected_orders(SeeToAffectedOrder(orders, EngineRecalls(database, engine)))],
    )
