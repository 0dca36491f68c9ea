"""Where the objects of crops meet."""

from chassis.background import Every
from chassis.eventstore import EventStore
from chassis.merklelog.audit import Audit
from chassis.merklelog.keys import load_signing_key, publish_verifier
from chassis.merklelog.ledger import Ledger
from chassis.merklelog.store import MerkleLog
from chassis.projection import ProjectionRunner
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.crops.v1 import crops_pb2_grpc, epcis_pb2_grpc, ledger_pb2_grpc
from services.crops.adapters.clients import InventoryClient, NotificationsClient, UsersClient
from services.crops.adapters.db import ProjectedLots
from services.crops.adapters.epcis_grpc import EpcisServicer
from services.crops.adapters.epcis_jobs import StoredJobs
from services.crops.adapters.epcis_query import IndexedVisibilityEvents
from services.crops.adapters.epcis_store import StoredVisibilityEvents
from services.crops.adapters.events import UPCASTERS
from services.crops.adapters.grpc import CommandServicer, QueryServicer
from services.crops.adapters.ledger_grpc import LedgerServicer
from services.crops.adapters.lot_histories import StoredLotHistories
from services.crops.adapters.lots import EventSourcedLots
from services.crops.adapters.projection import LOTS
from services.crops.adapters.recall_saga import EngineRecalls, recall_saga
from services.crops.adapters.sagas import Announcements, EngineTransfers, transfer_saga
from services.crops.application.capture_document import CaptureDocument, ReadJobs
from services.crops.application.capture_events import CaptureEvent, Recorder
from services.crops.application.commitments import CommitQuantity, ReleaseQuantity
from services.crops.application.export_lot import ExportLot
from services.crops.application.handover import (
    AcceptOffer,
    ExpireOffers,
    OfferLot,
    RejectOffer,
    WithdrawOffer,
)
from services.crops.application.hold_lot import DestroyLot, HoldLot, ReleaseHold, ReleaseRecall
from services.crops.application.mint_lot import MintLot
from services.crops.application.read_epcis import ReadEpcis
from services.crops.application.read_lots import ReadLots
from services.crops.application.recall_lot import RecallLot
from services.crops.application.recall_steps import RecallSteps
from services.crops.application.split_lot import SplitLot
from services.crops.application.transfer_lot import TransferLot
from services.crops.application.transfer_steps import TransferSteps
from services.crops.application.transform_lots import MergeLots, TransformLots

LEDGER_ORIGIN = "greenledger/crops"


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    log = MerkleLog(database)
    ledger = _ledger(runtime, log)
    store = EventStore(database, clock, ids, UPCASTERS, log)
    lots = EventSourcedLots(database, store, runtime.outbox)
    queries = ProjectedLots(database, clock)
    users = UsersClient(runtime.channels.get("users"))
    notifications = NotificationsClient(runtime.channels.get("notifications"))
    announcements = Announcements()
    steps = TransferSteps(lots, queries, users, notifications, clock)
    inventory = InventoryClient(runtime.channels.get("inventory"))
    recall_steps = RecallSteps(database, lots, inventory, clock)
    engine = runtime.saga_engine([transfer_saga(steps, announcements), recall_saga(recall_steps)])
    transfers = EngineTransfers(database, engine, announcements, clock)
    transfer = TransferLot(database, transfers, lots, clock)
    commands = CommandServicer(
        MintLot(database, lots, clock, ids),
        transfer,
        SplitLot(database, lots, clock, ids),
        RecallLot(database, EngineRecalls(database, engine), lots, clock),
        CommitQuantity(database, lots, clock),
        ReleaseQuantity(database, lots, clock),
        MergeLots(database, lots, clock, ids),
        TransformLots(database, lots, clock, ids),
        HoldLot(database, lots, clock),
        ReleaseHold(database, lots, clock),
        DestroyLot(database, lots, clock),
        ReleaseRecall(database, lots, clock),
        OfferLot(database, lots, clock, ids),
        AcceptOffer(database, lots, clock, transfer),
        RejectOffer(database, lots, clock),
        WithdrawOffer(database, lots, clock),
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.crops.v1.CropCommandService",
                crops_pb2_grpc.add_CropCommandServiceServicer_to_server,
                commands,
            ),
            Servicer(
                "greenledger.crops.v1.CropQueryService",
                crops_pb2_grpc.add_CropQueryServiceServicer_to_server,
                QueryServicer(ReadLots(queries, lots), runtime.page_tokens),
            ),
            Servicer(
                "greenledger.crops.v1.LedgerService",
                ledger_pb2_grpc.add_LedgerServiceServicer_to_server,
                LedgerServicer(ledger, lambda: Audit(database, log, [ledger.verifier])),
            ),
            Servicer(
                "greenledger.crops.v1.EpcisService",
                epcis_pb2_grpc.add_EpcisServiceServicer_to_server,
                _epcis(runtime, store),
            ),
        ],
        sagas=engine,
        projections=[ProjectionRunner(database, store, LOTS)],
        # A head now and then even if nobody asks: what is signed can no longer be changed unnoticed.
        background=[
            Every("ledger.sign", ledger.sign),
            Every("offers.expire", ExpireOffers(database, lots, clock, queries)),
        ],
        on_start=log.adopt,
    )


def _epcis(runtime: Runtime, store: EventStore) -> EpcisServicer:
    database, clock = runtime.database, runtime.clock
    record = Recorder(database, StoredVisibilityEvents(database, store), clock, runtime.ids)
    jobs = StoredJobs(database)
    return EpcisServicer(
        CaptureEvent(record),
        CaptureDocument(database, record, jobs, clock),
        ReadJobs(jobs),
        ReadEpcis(IndexedVisibilityEvents(database)),
        ExportLot(StoredLotHistories(store), clock),
        runtime.page_tokens,
    )


def _ledger(runtime: Runtime, log: MerkleLog) -> Ledger:
    folder = runtime.settings.secrets_dir
    key = load_signing_key(folder, LEDGER_ORIGIN)
    publish_verifier(folder, key.verifier)
    return Ledger(runtime.database, log, key, runtime.clock)
