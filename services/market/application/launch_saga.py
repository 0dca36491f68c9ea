"""The launch saga: mint a lot, commit part of it, fund a pool, look again, open and tell.

The pool opens and the campaign begins in one transaction, the pivot. Until then nobody trades with the pool
nor gets goods of it, so that what was put in comes out again whole when the launch is undone: the pool is
drained and closed, the goods are released, the lot is destroyed.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chassis.clock import Clock
from chassis.errors import PermissionDenied
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import Retry, Saga, Step, StepContext
from services.market.application.campaigns import CampaignCommands
from services.market.application.launch_ports import LaunchLots
from services.market.application.pool_ports import CropGoods, Ledger, Pools, Vault
from services.market.application.pool_settle_saga import (
    REFUSALS,
    committed_to_json,
    credit_goods,
    denials_pass,
)
from services.market.application.pool_trade import add_pool
from services.market.domain import pool_ledger as ledger
from services.market.domain.launch import Harvest, Launch
from services.market.domain.pool import State, drain

NAME = "launch_product"
DEADLINE = timedelta(minutes=1)
_QUICK = Retry(attempts=5, first=timedelta(milliseconds=100), ceiling=timedelta(seconds=2))


def to_json(launch: Launch) -> dict[str, Any]:
    """A launch as a JSON object."""
    harvest = launch.harvest
    return {
        "owner_id": launch.owner_id,
        "harvest": {
            "lot_code": harvest.lot_code,
            "product_code": harvest.product_code,
            "description": harvest.description,
            "variety": harvest.variety,
            "quantity": [harvest.quantity.text, harvest.quantity.unit],
            "farm_name": harvest.farm_name,
            "country_code": harvest.country_code,
            "harvest_time": harvest.harvest_time.isoformat(),
            "expire_time": harvest.expire_time.isoformat(),
        },
        "goods": [launch.goods.text, launch.goods.unit],
        "money": [launch.money.minor, launch.money.currency],
        "fee_bps": launch.fee_bps,
        "title": launch.title,
        "message": launch.message,
    }


def from_json(data: Mapping[str, Any]) -> Launch:
    """From what `to_json` made; further keys are ignored."""
    facts = dict(data["harvest"])
    facts["quantity"] = Quantity.of(*facts["quantity"])
    for name in ("harvest_time", "expire_time"):
        facts[name] = datetime.fromisoformat(facts[name])
    return Launch(
        owner_id=data["owner_id"],
        harvest=Harvest(**facts),
        goods=Quantity.of(*data["goods"]),
        money=Money(*data["money"]),
        fee_bps=data["fee_bps"],
        title=data["title"],
        message=data["message"],
    )


class LaunchSteps:
    """The saga's actions."""

    def __init__(
        self,
        lots: LaunchLots,
        crops: CropGoods,
        books: Ledger,
        vault: Vault,
        pools: Pools,
        campaigns: CampaignCommands,
        clock: Clock,
    ) -> None:
        self._lots = lots
        self._crops = crops
        self._ledger = books
        self._vault = vault
        self._pools = pools
        self._campaigns = campaigns
        self._clock = clock

    def saga(self) -> Saga:
        """The definition."""
        return Saga(
            NAME,
            version=1,
            deadline=DEADLINE,
            steps=(
                Step("mint", self.mint, undo=self.destroy, retry=_QUICK),
                Step("commit", self.commit, undo=self.release, retry=_QUICK),
                Step("fund", self.fund, undo=self.drain, local=True),
                Step("look", self.look, retry=Retry(attempts=8, first=timedelta(milliseconds=200))),
                Step("activate", self.activate, pivot=True, local=True),
            ),
        )

    async def mint(self, ctx: StepContext) -> dict[str, Any]:
        launch = from_json(ctx.data)
        return {"lot_id": await self._lots.mint(ctx.idempotency_key, launch.owner_id, launch.harvest)}

    async def destroy(self, ctx: StepContext) -> None:
        launch, lot_id = from_json(ctx.data), ctx.data.get("lot_id")
        try:
            # If nobody knows whether it was minted: asked again it is the same lot, and a late call finds it.
            with denials_pass():
                lot_id = lot_id or await self._lots.mint(ctx.action_key, launch.owner_id, launch.harvest)
                await self._destroy(ctx.idempotency_key, launch.owner_id, lot_id)
        except REFUSALS:
            return  # it cannot be minted; or its owner has disposed of it meanwhile, which stands

    async def _destroy(self, request_id: str, owner_id: str, lot_id: str) -> None:
        try:
            await self._lots.destroy(request_id, owner_id, lot_id, "its launch was undone")
        except PermissionDenied as denied:
            if denied.reason != "NOT_OWNER":
                raise
            # Its owner has handed it over meanwhile, which stands.

    async def commit(self, ctx: StepContext) -> dict[str, Any]:
        launch = from_json(ctx.data)
        made = await self._crops.commit(
            ctx.idempotency_key, ctx.data["lot_id"], launch.owner_id, launch.goods
        )
        return committed_to_json(ctx.idempotency_key, made)

    async def release(self, ctx: StepContext) -> None:
        await self._crops.release(ctx.idempotency_key, ctx.data["lot_id"], ctx.action_key)

    async def fund(self, ctx: StepContext) -> dict[str, Any]:
        launch, deposit_id = from_json(ctx.data), ctx.idempotency_key
        empty, funded, part = launch.pool(ctx.data["pool_id"], self._clock.now())
        await add_pool(self._pools, empty)
        await credit_goods(
            self._ledger,
            self._vault,
            deposit_id,
            ctx.data["lot_id"],
            launch.owner_id,
            ctx.data,
            self._clock.now(),
            reserved=True,
        )
        owner = ledger.user(launch.owner_id)
        await self._ledger.apply(ledger.added(ctx.data["pool_id"], owner, empty, part))
        await self._pools.save(funded)
        return {"deposit_id": deposit_id, "shares": part.shares}

    async def drain(self, ctx: StepContext) -> None:
        launch = from_json(ctx.data)
        pool = await self._pools.get(ctx.data["pool_id"], lock=True)
        if pool is None or pool.state is State.CLOSED:
            return
        closed, part = drain(pool)
        owner = ledger.user(launch.owner_id)
        await self._ledger.apply(ledger.drained(ctx.idempotency_key, owner, pool, part))
        # The goods leave the market, as they came in, and only then are they released.
        asset = ledger.goods_asset(pool.product_code, pool.unit)
        await self._ledger.apply(ledger.withdrawal(ctx.saga_id, owner, asset, part.goods))
        await self._vault.remove(ctx.action_key)
        await self._pools.save(closed)

    async def look(self, ctx: StepContext) -> None:
        await self._lots.require_sound(ctx.data["lot_id"])

    async def activate(self, ctx: StepContext) -> None:
        launch = from_json(ctx.data)
        pool = await self._pools.get(ctx.data["pool_id"], lock=True)
        assert pool is not None
        await self._pools.save(replace(pool, state=State.OPEN))
        await self._vault.free(ctx.data["deposit_id"])
        campaign = await self._campaigns.create(
            launch.owner_id,
            launch.harvest.product_code,
            launch.title,
            launch.message,
            ctx.data["campaign_id"],
        )
        await self._campaigns.activate(launch.owner_id, campaign.campaign_id, bounded=False)
