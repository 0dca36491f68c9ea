"""Launch a product, and wait until it is launched or undone."""

from dataclasses import dataclass
from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
)
from chassis.ids import IdSource
from chassis.saga import newest_attempt
from chassis.waiting import patience
from services.market.application.campaigns import CampaignCommands
from services.market.application.launch_ports import Launches, LaunchProgress
from services.market.application.pool_ports import Ledger
from services.market.application.pool_trade import PoolCommands
from services.market.domain import pool_ledger as ledger
from services.market.domain.campaign import Campaign
from services.market.domain.launch import Launch
from services.market.domain.pool import Pool

ATTEMPTS = 32
"""How often one request_id may be used to try again after a refusal; then the last refusal stands."""

_LAUNCHES = UUID("7c0d9a14-52b5-5b5a-9f76-9a3f0c6e2d18")
_KINDS: dict[str, type[DomainError]] = {
    "LOT_CODE_TAKEN": AlreadyExists,
    "POOL_EXISTS": AlreadyExists,
    "TIMES_INVALID": InvalidArgument,
    "QUANTITY_ZERO": InvalidArgument,
    **dict.fromkeys(
        (
            "BALANCE_EXCEEDED",
            "LOT_RECALLED",
            "LOT_HELD",
            "LOT_EXPIRED",
            "QUANTITY_EXCEEDED",
            "POOL_FULL",
            "DEPOSIT_TOO_SMALL",
            "LOT_EXPIRES_SOON",
        ),
        FailedPrecondition,
    ),
}


def launch_id_of(owner_id: str, request_id: str, attempt: int = 1) -> str:
    """The saga of a caller's request: a repeated request finds it instead of starting another."""
    return str(uuid5(_LAUNCHES, f"{owner_id}/{request_id}/{attempt}"))


@dataclass(frozen=True, slots=True)
class Launched:
    """What came of a launch."""

    launch_id: str
    lot_id: str
    pool: Pool
    shares: int
    campaign: Campaign


class LaunchProduct:
    """The same request_id of the same caller is the same launch; one that was undone may be tried anew."""

    def __init__(
        self,
        launches: Launches,
        pools: PoolCommands,
        campaigns: CampaignCommands,
        books: Ledger,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._launches = launches
        self._pools = pools
        self._campaigns = campaigns
        self._ledger = books
        self._clock = clock
        self._ids = ids

    async def __call__(self, request_id: str, launch: Launch) -> Launched:
        """What came of it.

        Raises:
            InvalidArgument: what `Launch.pool` refuses; TIMES_INVALID, QUANTITY_ZERO.
            FailedPrecondition: what `Launch.pool` refuses; BALANCE_EXCEEDED; LOT_RECALLED, LOT_HELD or
                LOT_EXPIRED meanwhile.
            AlreadyExists: LOT_CODE_TAKEN, POOL_EXISTS, REQUEST_ID_REUSED.
            Unavailable: LAUNCH_FAILED, a participant did not answer; what was done is undone.
            DeadlineExceeded: LAUNCH_UNDER_WAY, the outcome is not known yet.
        """

        async def start(launch_id: str) -> LaunchProgress:
            return await self._launches.find(launch_id) or await self._begin(launch_id, launch)

        launch_id, progress = await newest_attempt(
            ATTEMPTS,
            lambda attempt: launch_id_of(launch.owner_id, request_id, attempt),
            start,
            lambda progress: progress.launch == launch,
            "the request_id was used for another launch",
        )
        if progress.refusal is None and not progress.done:
            progress = await self._launches.outcome(launch_id, patience(self._clock))
        return await self._answer(progress)

    async def _begin(self, launch_id: str, launch: Launch) -> LaunchProgress:
        # Before anything is begun, so that a launch which can never succeed does not use up its lot code.
        pool_id = self._ids.uuid7()
        _, funded, _ = launch.pool(pool_id, self._clock.now())
        await self._pools.require_none_like(funded)
        owner, asset = ledger.user(launch.owner_id), ledger.money_asset(launch.money.currency)
        balance = (await self._ledger.balances(owner)).get(asset, 0)
        ledger.require_covered(owner, asset, balance - launch.money.minor)
        return await self._launches.start(launch_id, launch, pool_id, self._ids.uuid7())

    async def _answer(self, progress: LaunchProgress) -> Launched:
        data = progress.data
        if progress.refusal is not None:
            raise progress.refusal.error(
                _KINDS, "LAUNCH_FAILED", "the launch could not be completed; what was done is undone"
            )
        if not progress.done:
            raise DeadlineExceeded(
                "LAUNCH_UNDER_WAY", "the outcome is not known yet; ask again with the same request_id"
            )
        return Launched(
            progress.launch_id,
            data["lot_id"],
            await self._pools.get(data["pool_id"]),
            data["shares"],
            await self._campaigns.get(progress.launch.owner_id, data["campaign_id"]),
        )
