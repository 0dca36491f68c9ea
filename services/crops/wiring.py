"""Where the objects of crops meet."""

from datetime import timedelta

from chassis.background import Every
from chassis.eventstore import EventStore
from chassis.merklelog.audit import Audit
from chassis.merklelog.keys import KeyFolder
from chassis.merklelog.ledger import Ledger
from chassis.merklelog.snapshots import SnapshotAudit
from chassis.merklelog.store import MerkleLog
from chassis.projection import ProjectionRunner
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from chassis.wakeup import Watchers
from greenledger.crops.v1 import crops_pb2_grpc, epcis_pb2_grpc, ledger_pb2_grpc
from services.crops.adapters.clients import InventoryClient, NotificationsClient, UsersClient
from services.crops.adapters.db import ProjectedLots
from services.crops.adapters.epcis_grpc import EpcisServicer
from services.crops.adapters.epcis_jobs import StoredJobs
from services.crops.adapters.epcis_query import IndexedVisibilityEvents
from services.crops.adapters.epcis_store import StoredVisibilityEvents
from services.crops.adapters.epcis_uploads import StoredUploads
from services.crops.adapters.events import UPCASTERS
from services.crops.adapters.grpc import CommandServicer, QueryServicer
from services.crops.adapters.ledger_grpc import LedgerServicer
from services.crops.adapters.lot_histories import StoredLotHistories
from services.crops.adapters.lots import EventSourcedLots
from services.crops.adapters.physical_grpc import PhysicalCommands
from services.crops.adapters.projection import LOTS
from services.crops.adapters.recall_saga import EngineRecalls, recall_saga
from services.crops.adapters.sagas import Announcements, EngineTransfers, transfer_saga
from services.crops.adapters.snapshots import LOT
from services.crops.adapters.stock_events import served_orders
from services.crops.application.capture_document import CaptureDocument, ForgetJobs, ReadJobs, RecordDocument
from services.crops.application.capture_events import CaptureEvent, Recorder
from services.crops.application.capture_uploads import CaptureUploads
from services.crops.application.commitments import CommitQuantity, ReleaseQuantity
from services.crops.application.correct_lot import CorrectLot
from services.crops.application.deliver_committed import DeliverCommitted
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
from services.crops.application.observe_lot import ObserveLot
from services.crops.application.read_epcis import ReadEpcis
from services.crops.application.read_lots import ReadLots
from services.crops.application.recall_lot import RecallLot
from services.crops.application.recall_steps import RecallSteps
from services.crops.application.sell_lot import SellLot
from services.crops.application.serve_orders import ServeOrders
from services.crops.application.ship_lot import ReceiveLot, RecordTransport, ShipLot, VoidShipment
from services.crops.application.split_lot import SplitLot
from services.crops.application.transfer_lot import TransferLot
from services.crops.application.transfer_steps import TransferSteps
from services.crops.application.transform_lots import MergeLots, TransformLots
from services.crops.application.units import PackUnit, ReceiveUnit, ShipUnit, UnpackUnit
from services.crops.application.upload_document import DocumentParts

LEDGER_ORIGIN = "greenledger/crops"


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    log = MerkleLog(database)
    ledger = _ledger(runtime, log)
    store = EventStore(database, clock, ids, UPCASTERS, log)
    changes = Watchers()
    lots = EventSourcedLots(database, store, runtime.outbox, changes)
    snapshots = SnapshotAudit(database, store, LOT)
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
        SellLot(database, lots, clock),
        ReleaseRecall(database, lots, clock),
        OfferLot(database, lots, clock, ids),
        AcceptOffer(database, lots, clock, transfer),
        RejectOffer(database, lots, clock),
        WithdrawOffer(database, lots, clock),
        DeliverCommitted(database, lots, clock, ids),
        PhysicalCommands(
            clock,
            ship=ShipLot(database, lots, clock, ids),
            void=VoidShipment(database, lots, clock),
            transport=RecordTransport(database, lots, clock),
            receive=ReceiveLot(database, lots, clock),
            observe=ObserveLot(database, lots, clock),
            correct=CorrectLot(database, lots, clock, StoredLotHistories(store)),
            pack=PackUnit(database, lots, clock, ids),
            unpack=UnpackUnit(database, lots, clock, ids),
            ship_unit=ShipUnit(database, lots, clock, ids),
            receive_unit=ReceiveUnit(database, lots, clock, ids),
        ),
    )
    epcis, uploads = _epcis(runtime, store)
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
                QueryServicer(ReadLots(queries, lots, changes), runtime.page_tokens),
            ),
            Servicer(
                "greenledger.crops.v1.LedgerService",
                ledger_pb2_grpc.add_LedgerServiceServicer_to_server,
                LedgerServicer(ledger, lambda: Audit(database, log, ledger.known_keys, snapshots)),
            ),
            Servicer(
                "greenledger.crops.v1.EpcisService",
                epcis_pb2_grpc.add_EpcisServiceServicer_to_server,
                epcis,
            ),
        ],
        subscriptions=[served_orders(ServeOrders(database, lots, clock))],
        sagas=engine,
        projections=[ProjectionRunner(database, store, LOTS)],
        # A head now and then even if nobody asks: what is signed can no longer be changed unnoticed.
        background=[
            Every("ledger.sign", ledger.sign),
            uploads,
            Every("epcis.forget_jobs", ForgetJobs(StoredJobs(database), clock), timedelta(hours=1)),
            Every("offers.expire", ExpireOffers(database, lots, clock, queries)),
        ],
        on_start=lambda: _start(log, ledger),
    )


async def _start(log: MerkleLog, ledger: Ledger) -> None:
    await log.adopt()
    await ledger.open()


def _epcis(runtime: Runtime, store: EventStore) -> tuple[EpcisServicer, CaptureUploads]:
    database, clock = runtime.database, runtime.clock
    record = Recorder(database, StoredVisibilityEvents(database, store, runtime.outbox), clock, runtime.ids)
    jobs, uploads = StoredJobs(database), StoredUploads(database)
    record_document = RecordDocument(database, record, jobs, clock)
    # Long enough for a batch on a busy machine: a process that is only slow keeps its document.
    lease, poll = runtime.settings.saga_lease * 6, runtime.settings.recovery_interval
    loop = CaptureUploads(database, record_document, jobs, uploads, clock, lease=lease, poll=poll)
    servicer = EpcisServicer(
        CaptureEvent(record),
        CaptureDocument(record_document, jobs, clock),
        DocumentParts(database, jobs, uploads, clock, loop.wakeup.notify),
        ReadJobs(jobs),
        ReadEpcis(IndexedVisibilityEvents(database)),
        ExportLot(StoredLotHistories(store), clock),
        runtime.page_tokens,
    )
    return servicer, loop


def _ledger(runtime: Runtime, log: MerkleLog) -> Ledger:
    folder = KeyFolder(runtime.settings.secrets_dir, LEDGER_ORIGIN)
    return Ledger(runtime.database, log, folder.current(), runtime.clock, folder)
