"""Other services in memory; the fake crops passes the suite of the real one (test_participants.py)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import DomainError, NotFound
from chassis.ids import SystemIds
from chassis.quantity import Quantity
from services.crops.domain.commitment import commit, release
from services.crops.domain.events import LotRecalled, Origin, Purpose, RecallClass
from services.crops.domain.harvest import Harvest, mint
from services.crops.domain.lot import Commitment, Lot, evolve
from services.inventory.domain.receipt import Goods, Receipt

Hook = Callable[[], Awaitable[None]]


@dataclass
class FakeCrops:
    """The crops service by its own rules.

    Args:
        before, after: run around the next commits.
        failures: what the next commits answer with after they took effect, one each.
    """

    clock: Clock
    lots: dict[str, Lot] = field(default_factory=dict)
    before: Hook | None = None
    after: Hook | None = None
    failures: list[DomainError] = field(default_factory=list)

    def mint(self, owner_id: str, quantity: Quantity, product: str = "kale", days: int = 10) -> str:
        """The id of a new lot."""
        lot_id, now = SystemIds().uuid7(), self.clock.now()
        harvest = Harvest(
            lot_code=lot_id,
            product_code=product,
            description="",
            variety="",
            quantity=quantity,
            origin=Origin("Farm"),
            harvest_time=now - timedelta(days=1),
            harvest_utc_offset="",
            expire_time=now + timedelta(days=days),
        )
        self.lots[lot_id] = evolve(None, mint(harvest, lot_id=lot_id, grower_id=owner_id, now=now))
        return lot_id

    def recall(self, lot_id: str) -> None:
        """Recall a lot without telling anybody."""
        lot = self.lots[lot_id]
        told = LotRecalled(
            lot_id=lot_id,
            root_lot_id=lot_id,
            reason="listeria",
            recall_class=RecallClass.I,
            owner_id=lot.owner_id,
            recall_id=lot_id,
            lot_code=lot.lot_code,
            grower_id=lot.grower_id,
            at=self.clock.now(),
        )
        self.lots[lot_id] = evolve(lot, told)

    async def commit(self, commitment_id: str, receipt: Receipt) -> Goods:
        if self.before is not None:
            await self.before()
        lot, wanted = (
            self._lot(receipt.lot_id),
            Commitment(receipt.quantity, Purpose.RECEIPT, receipt.venue_id, "inventory"),
        )
        event = commit(
            lot,
            wanted,
            commitment_id=commitment_id,
            owner_id=receipt.owner_id,
            now=self.clock.now(),
        )
        self.lots[lot.lot_id] = lot = evolve(lot, event) if event else lot
        if self.after is not None:
            await self.after()
        if self.failures:
            raise self.failures.pop(0)
        return Goods(lot.product_code, wanted.quantity.to(lot.quantity.unit), lot.expire_time)

    async def release(self, request_id: str, lot_id: str, commitment_id: str) -> None:
        lot = self._lot(lot_id)
        event = release(lot, commitment_id=commitment_id, actor="inventory", now=self.clock.now())
        self.lots[lot_id] = evolve(lot, event) if event else lot

    def _lot(self, lot_id: str) -> Lot:
        if lot_id not in self.lots:
            raise NotFound("LOT_NOT_FOUND", "there is no such lot")
        return self.lots[lot_id]


@dataclass
class FakeCatalog:
    """The catalog service with one venue."""

    venue_id: str
    owner_id: str

    async def venue_owner(self, venue_id: str) -> str:
        if venue_id != self.venue_id:
            raise NotFound("VENUE_NOT_FOUND", "there is no such venue")
        return self.owner_id
