"""The receipt saga on the chassis' engine."""

from datetime import timedelta

from chassis.database import Database
from chassis.errors import DeadlineExceeded, NotFound
from chassis.saga import Instance, Refusal, SagaEngine, State
from services.inventory.application.ports import Progress
from services.inventory.application.receipt_saga import NAME, ReceiptData
from services.inventory.domain.receipt import Receipt


class EngineReceipts:
    """Implements `Receipts`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def find(self, receipt_id: str) -> Progress | None:
        try:
            return _progress(await self._engine.operator.get(receipt_id))
        except NotFound:
            return None

    async def start(self, receipt_id: str, receipt: Receipt, stock_item_id: str) -> Progress:
        data = ReceiptData(receipt, stock_item_id).to_json()
        async with self._database.transaction() as tx:
            return _progress(await self._engine.start(tx, NAME, receipt_id, data))

    async def outcome(self, receipt_id: str, within: timedelta) -> Progress:
        try:
            return _progress(await self._engine.outcome(receipt_id, within))
        except DeadlineExceeded:
            return _progress(await self._engine.operator.get(receipt_id))


def _progress(instance: Instance) -> Progress:
    data = ReceiptData.from_json(instance.data)
    return Progress(data.receipt, data.stock_item_id, instance.state is State.COMPLETED, Refusal.of(instance))
