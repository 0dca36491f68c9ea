"""What pools and the balances behind them need of the outside world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import Refusal
from services.market.domain.pool import Pool, Swap
from services.market.domain.pool_ledger import Movement
from services.market.domain.pool_settlement import Delivery, Settlement, VaultLot


@dataclass(frozen=True, slots=True)
class SwapRecord:
    """A swap that was made, and the pool after it."""

    swap_id: str
    user_id: str
    swap: Swap
    pool: Pool
    at: datetime


class Pools(Protocol):
    """Pools and their swaps, inside the running transaction."""

    async def add(self, pool: Pool) -> bool:
        """Store a new one; False when there is one of its product, unit and currency."""
        ...

    async def get(self, pool_id: str, *, lock: bool = False) -> Pool | None: ...

    async def like(self, pool: Pool, *, lock: bool = False) -> Pool | None:
        """The one of its product, unit and currency that is not closed."""
        ...

    async def locked_of(self, product_code: str, unit: str) -> Sequence[Pool]:
        """The open ones of a product, locked."""
        ...

    async def save(self, pool: Pool) -> None:
        """Store its reserves, shares and state."""
        ...

    async def page(self, product_code: str | None, before: str | None, limit: int) -> Sequence[Pool]:
        """Those older than the id `before` that are not closed, newest first."""
        ...

    async def add_swap(self, record: SwapRecord) -> None: ...

    async def swaps(self, pool: Pool, before: str | None, limit: int) -> Sequence[SwapRecord]:
        """Those older than the id `before`, newest first; each with the pool's reserves after it."""
        ...


class PoolEvents(Protocol):
    """Tells others, in the running transaction."""

    async def swapped(self, record: SwapRecord) -> None: ...


class Ledger(Protocol):
    """Everybody's balances, inside the running transaction."""

    async def apply(self, movement: Movement) -> bool:
        """Move; False when this movement was made before.

        Raises:
            FailedPrecondition: BALANCE_EXCEEDED, POOL_FULL.
        """
        ...

    async def balances(self, holder: str) -> Mapping[str, int]:
        """What somebody has, by asset, without what is zero."""
        ...

    async def balance(self, holder: str, asset: str) -> int:
        """What somebody has of one asset."""
        ...

    async def lock(self, holder: str, asset: str) -> int:
        """What somebody has of one asset; until the transaction ends nothing of it comes in or goes out."""
        ...


class Vault(Protocol):
    """The committed lots behind the balances of goods, inside the running transaction."""

    async def add(self, lot: VaultLot) -> None: ...

    async def take(self, product_code: str, unit: str, amount: int, now: datetime) -> Sequence[Delivery]:
        """Set so many millionths aside, of what expires first and may be sold; where that lies in too many
        lots, of the largest ones.

        Raises:
            FailedPrecondition: GOODS_NOT_COVERED, there is less; WITHDRAWAL_TOO_SCATTERED.
        """
        ...

    async def put_back(self, delivery: Delivery) -> None: ...

    async def free(self, deposit_id: str) -> None:
        """A reserved lot may be delivered from now on."""
        ...

    async def remove(self, deposit_id: str) -> None:
        """Forget a reserved lot."""
        ...

    async def expired(self, now: datetime, after: str | None, limit: int) -> Sequence[VaultLot]:
        """Those that have expired, of deposits above the id `after`, in their order; no reserved ones."""
        ...

    async def get(self, deposit_id: str) -> VaultLot | None: ...

    async def lower(self, deposit_id: str, amount: int) -> None:
        """So much of it stands behind no balance any more."""
        ...

    async def require_cover(self, product_code: str, unit: str, leaving: int, now: datetime) -> None:
        """Refuse where what is neither recalled nor expired is less than the balances add up to, or what can
        be delivered now is less than what a swap is to take out of a pool.

        Raises:
            FailedPrecondition: GOODS_NOT_COVERED.
        """
        ...


class Deposits(Protocol):
    """The payments behind the balances of money, inside the running transaction."""

    async def add(self, deposit_id: str, user_id: str, amount: Money) -> None: ...

    async def take(self, deposit_id: str, user_id: str, amount: Money) -> None:
        """Count as given back.

        Raises:
            NotFound: DEPOSIT_NOT_FOUND, also for someone else's.
            InvalidArgument: CURRENCY_MISMATCH.
            FailedPrecondition: DEPOSIT_EXCEEDED.
        """
        ...

    async def put_back(self, deposit_id: str, amount: Money) -> None: ...

    async def owner_of(self, deposit_id: str) -> tuple[str, str] | None:
        """Who paid it in, and in which currency."""
        ...

    async def refunded(self, deposit_id: str, total: int) -> int:
        """Note that payments has given back so much in all; by how much that exceeds what was withdrawn,
        which counts as withdrawn from now on. A total below one that was noted says nothing new."""
        ...


@dataclass(frozen=True, slots=True)
class Committed:
    """What crops says of goods that were committed, in the lot's own unit."""

    product_code: str
    quantity: Quantity
    expires_at: datetime


class CropGoods(Protocol):
    """Commitments in crops; each call is idempotent by its first argument."""

    async def commit(
        self, commitment_id: str, lot_id: str, owner_id: str, quantity: Quantity
    ) -> Committed: ...

    async def release(self, request_id: str, lot_id: str, commitment_id: str) -> None:
        """Also of a commitment that has not arrived, which is then refused."""
        ...

    async def deliver(
        self, request_id: str, delivery: Delivery, quantity: Quantity, new_owner_id: str, lot_code: str
    ) -> str:
        """Carve a lot for somebody out of a commitment; its id."""
        ...


@dataclass(frozen=True, slots=True)
class SettlementProgress:
    """Where a settlement stands.

    Args:
        done: whether it came about.
        data: what it knows by now.
        refusal: reason, message and metadata when it came to nothing.
    """

    settlement: Settlement
    done: bool
    data: Mapping[str, Any] = field(default_factory=dict)
    refusal: Refusal | None = None


class Settlements(Protocol):
    """The sagas that settle."""

    async def find(self, settlement_id: str) -> SettlementProgress | None: ...

    async def start(self, settlement: Settlement, data: Mapping[str, Any]) -> SettlementProgress:
        """Start one in the running transaction, or find it.

        Args:
            data: further facts that its steps need.
        """
        ...

    async def outcome(self, settlement_id: str, within: timedelta) -> SettlementProgress: ...
