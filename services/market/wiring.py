"""Where the objects of the market meet."""

from chassis.runtime import Runtime
from chassis.saga import Saga, SagaEngine
from chassis.service import Service, Servicer
from greenledger.market.v1 import market_pb2_grpc, pools_pb2_grpc
from services.market.adapters.clients import LotsClient
from services.market.adapters.db import PostgresCollections
from services.market.adapters.grpc import MarketServicer
from services.market.adapters.pool_clients import CropGoodsClient, PoolPaymentsClient
from services.market.adapters.pool_db import PostgresLedger, PostgresPools
from services.market.adapters.pool_grpc import PoolServicer
from services.market.adapters.pool_kafka import OutboxPoolEvents
from services.market.adapters.pool_sagas import EngineSettlements
from services.market.adapters.pool_vault import PostgresDeposits, PostgresVault
from services.market.application.collections import CollectionCommands
from services.market.application.pool_settle import Settle
from services.market.application.pool_settle_saga import GoodsSteps, MoneySteps
from services.market.application.pool_trade import PoolCommands


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    lots = LotsClient(runtime.channels.get("crops"))
    engine = runtime.saga_engine([*_settlements(runtime)])
    servicer = MarketServicer(
        CollectionCommands(database, PostgresCollections(database), lots, clock, ids), runtime.page_tokens
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.market.v1.MarketService",
                market_pb2_grpc.add_MarketServiceServicer_to_server,
                servicer,
            ),
            _pools(runtime, engine),
        ],
        sagas=engine,
    )


def _settlements(runtime: Runtime) -> list[Saga]:
    """The sagas between balances and the outside."""
    books, vault = PostgresLedger(runtime.database), PostgresVault(runtime.database)
    crops = CropGoodsClient(runtime.channels.get("crops"))
    payments = PoolPaymentsClient(runtime.channels.get("payments"))
    deposits = PostgresDeposits(runtime.database)
    return [*GoodsSteps(books, vault, crops).sagas(), *MoneySteps(books, deposits, payments).sagas()]


def _pools(runtime: Runtime, engine: SagaEngine) -> Servicer:
    """Pools and balances."""
    database, clock = runtime.database, runtime.clock
    books, vault = PostgresLedger(database), PostgresVault(database)
    events = OutboxPoolEvents(database, runtime.outbox)
    pools = PoolCommands(database, PostgresPools(database), books, vault, events, clock, runtime.ids)
    settlements = EngineSettlements(database, engine)
    settle = Settle(database, settlements, books, vault, PostgresDeposits(database), clock)
    return Servicer(
        "greenledger.market.v1.PoolService",
        pools_pb2_grpc.add_PoolServiceServicer_to_server,
        PoolServicer(pools, settle, books, runtime.page_tokens),
    )
