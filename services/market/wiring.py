"""Where the objects of the market meet."""

from datetime import timedelta

from chassis.background import Every
from chassis.runtime import Runtime
from chassis.saga import Saga, SagaEngine
from chassis.service import Service, Servicer
from greenledger.market.v1 import (
    campaigns_pb2_grpc,
    launches_pb2_grpc,
    market_pb2_grpc,
    pools_pb2_grpc,
)
from services.market.adapters.campaign_clients import NewsClient
from services.market.adapters.campaign_db import PostgresCampaigns, PostgresSubscriptions
from services.market.adapters.campaign_grpc import CampaignServicer
from services.market.adapters.clients import CropsClient, LotsClient, PaymentsClient
from services.market.adapters.db import PostgresCollections
from services.market.adapters.grpc import MarketServicer, UseCases
from services.market.adapters.kafka import MarketEvents, lot_subscriptions
from services.market.adapters.launch_clients import LaunchLotsClient
from services.market.adapters.launch_grpc import LaunchServicer
from services.market.adapters.launch_sagas import EngineLaunches
from services.market.adapters.listing_db import PostgresListings, PostgresStandings
from services.market.adapters.pool_clients import CropGoodsClient
from services.market.adapters.pool_db import PostgresLedger, PostgresPools
from services.market.adapters.pool_grpc import PoolServicer
from services.market.adapters.pool_kafka import OutboxPoolEvents, refund_subscriptions
from services.market.adapters.pool_sagas import EngineSettlements
from services.market.adapters.pool_vault import PostgresDeposits, PostgresVault
from services.market.adapters.purchase_db import PostgresPurchases
from services.market.adapters.sagas import EngineListings, EnginePurchases
from services.market.application.campaigns import CampaignCommands, SubscriptionCommands, TellSubscribers
from services.market.application.collections import CollectionCommands
from services.market.application.launch import LaunchProduct
from services.market.application.launch_saga import LaunchSteps
from services.market.application.listing_sagas import ListingSteps
from services.market.application.listings import (
    CancelListing,
    CreateListing,
    ExpireListings,
    ReadListings,
)
from services.market.application.pool_settle import Settle
from services.market.application.pool_settle_saga import GoodsSteps, MoneySteps
from services.market.application.pool_trade import PoolCommands
from services.market.application.purchase_saga import PurchaseSteps
from services.market.application.purchases import BuyFromListing, ReadPurchases
from services.market.application.standings import FollowLots
from services.market.application.write_offs import WriteOffExpired


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock = runtime.database, runtime.clock
    crops = CropsClient(runtime.channels.get("crops"))
    payments = PaymentsClient(runtime.channels.get("payments"))
    listings, purchases = PostgresListings(database), PostgresPurchases(database)
    standings, events = PostgresStandings(database), MarketEvents(database, runtime.outbox)
    listing = ListingSteps(listings, standings, crops, events, clock)
    buying = PurchaseSteps(purchases, listings, crops, payments, events, clock)
    engine = runtime.saga_engine(
        [
            listing.list_lot(),
            listing.release_listing(),
            buying.saga(),
            *_settlements(runtime),
            _launches(runtime),
        ]
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.market.v1.MarketService",
                market_pb2_grpc.add_MarketServiceServicer_to_server,
                MarketServicer(_use_cases(runtime, engine, events), runtime.page_tokens),
            ),
            _pools(runtime, engine),
            _campaigns(runtime),
            _launch(runtime, engine),
        ],
        sagas=engine,
        subscriptions=[
            *lot_subscriptions(FollowLots(database, listings, standings, events, clock)),
            *refund_subscriptions(PostgresLedger(database), PostgresDeposits(database), runtime.ids),
        ],
        background=[_news(runtime), _write_offs(runtime), _expiries(runtime, engine, events)],
    )


def _use_cases(runtime: Runtime, engine: SagaEngine, events: MarketEvents) -> UseCases:
    """Collections, listings and purchases."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    listings, purchases = PostgresListings(database), PostgresPurchases(database)
    sagas, lots = EngineListings(database, engine), LotsClient(runtime.channels.get("crops"))
    buying = EnginePurchases(database, engine)
    return UseCases(
        CollectionCommands(database, PostgresCollections(database), lots, clock, ids),
        CreateListing(sagas, listings, clock, ids),
        CancelListing(database, listings, sagas, events, clock),
        ReadListings(listings, clock),
        BuyFromListing(database, listings, purchases, buying, events, clock, ids),
        ReadPurchases(purchases),
    )


def _settlements(runtime: Runtime) -> list[Saga]:
    """The sagas between balances and the outside."""
    books, vault = PostgresLedger(runtime.database), PostgresVault(runtime.database)
    crops = CropGoodsClient(runtime.channels.get("crops"))
    payments = PaymentsClient(runtime.channels.get("payments"))
    deposits = PostgresDeposits(runtime.database)
    return [
        *GoodsSteps(books, vault, crops, runtime.clock).sagas(),
        *MoneySteps(books, deposits, payments).sagas(),
    ]


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


def _campaigns(runtime: Runtime) -> Servicer:
    """Subscriptions and campaigns."""
    database, clock = runtime.database, runtime.clock
    campaigns = _campaign_commands(runtime)
    subscriptions = SubscriptionCommands(PostgresSubscriptions(database), clock)
    return Servicer(
        "greenledger.market.v1.CampaignService",
        campaigns_pb2_grpc.add_CampaignServiceServicer_to_server,
        CampaignServicer(subscriptions, campaigns, runtime.page_tokens),
    )


def _campaign_commands(runtime: Runtime) -> CampaignCommands:
    """What growers and launches do with campaigns."""
    campaigns, lots = PostgresCampaigns(runtime.database), LotsClient(runtime.channels.get("crops"))
    return CampaignCommands(runtime.database, campaigns, lots, runtime.clock, runtime.ids)


def _news(runtime: Runtime) -> Every:
    """Tells subscribers, a batch a second at most."""
    news = NewsClient(runtime.channels.get("notifications"))
    tell = TellSubscribers(PostgresCampaigns(runtime.database), news, runtime.clock)
    return Every("market.campaigns", tell, timedelta(seconds=1))


def _write_offs(runtime: Runtime) -> Every:
    """Takes what has expired off the balances."""
    database = runtime.database
    pools, books, vault = PostgresPools(database), PostgresLedger(database), PostgresVault(database)
    work = WriteOffExpired(database, pools, books, vault, runtime.clock, runtime.ids)
    return Every("market.write-offs", work, timedelta(seconds=5))


def _expiries(runtime: Runtime, engine: SagaEngine, events: MarketEvents) -> Every:
    """Ends the sale of what has expired."""
    database = runtime.database
    sagas = EngineListings(database, engine)
    work = ExpireListings(database, PostgresListings(database), sagas, events, runtime.clock)
    return Every("market.expiries", work, timedelta(seconds=5))


def _launches(runtime: Runtime) -> Saga:
    """The saga of launches."""
    database, clock = runtime.database, runtime.clock
    crops = runtime.channels.get("crops")
    return LaunchSteps(
        LaunchLotsClient(crops),
        CropGoodsClient(crops),
        PostgresLedger(database),
        PostgresVault(database),
        PostgresPools(database),
        _campaign_commands(runtime),
        clock,
    ).saga()


def _launch(runtime: Runtime, engine: SagaEngine) -> Servicer:
    """Launches."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    books, vault = PostgresLedger(database), PostgresVault(database)
    events = OutboxPoolEvents(database, runtime.outbox)
    pools = PoolCommands(database, PostgresPools(database), books, vault, events, clock, ids)
    campaigns = _campaign_commands(runtime)
    launch = LaunchProduct(EngineLaunches(database, engine), pools, campaigns, books, clock, ids)
    return Servicer(
        "greenledger.market.v1.LaunchService",
        launches_pb2_grpc.add_LaunchServiceServicer_to_server,
        LaunchServicer(launch),
    )
