"""Where the objects of the market meet."""

from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.market.v1 import market_pb2_grpc
from services.market.adapters.clients import LotsClient
from services.market.adapters.db import PostgresCollections
from services.market.adapters.grpc import MarketServicer
from services.market.application.collections import CollectionCommands


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    lots = LotsClient(runtime.channels.get("crops"))
    engine = runtime.saga_engine([])
    servicer = MarketServicer(
        CollectionCommands(database, PostgresCollections(database), lots, clock, ids), runtime.page_tokens
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.market.v1.MarketService",
                market_pb2_grpc.add_MarketServiceServicer_to_server,
                servicer,
            )
        ],
        sagas=engine,
    )
