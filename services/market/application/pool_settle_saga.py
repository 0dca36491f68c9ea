"""The sagas that bring goods and money into balances and out of them.

In: the participant first, the balance last; until then every failure is undone. Out: the balance is lowered
in the transaction that starts the saga, so that nothing is spent twice; what does not come about is given
back.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import FOREVER, Retry, Saga, Step, StepContext
from services.market.application.pool_ports import Committed, CropGoods, Deposits, Ledger, Vault
from services.market.application.ports import Payments
from services.market.domain import pool_ledger as ledger
from services.market.domain.pool import goods, micro
from services.market.domain.pool_settlement import (
    MAX_DELIVERIES,
    Delivery,
    Kind,
    Settlement,
    VaultLot,
    require_depositable,
)

DEADLINE = timedelta(minutes=1)
SAGAS: Mapping[Kind, str] = {kind: kind.value.lower() for kind in Kind}
"""Names of the sagas."""

DELIVER_CRASHPOINTS = ("market.pool.delivered",)
"""Crash points: one lot of a withdrawal is delivered, and nothing of that is recorded."""
declare(*DELIVER_CRASHPOINTS)

REFUSALS = (AlreadyExists, FailedPrecondition, InvalidArgument, NotFound)
"""What repeats however often one asks."""
_DELIVERING = timedelta(seconds=5) + MAX_DELIVERIES * timedelta(milliseconds=500)
_QUICK = Retry(attempts=5, first=timedelta(milliseconds=100), ceiling=timedelta(seconds=2))


@contextmanager
def denials_pass() -> Iterator[None]:
    """A call that is not permitted was not looked at: it says nothing of an earlier attempt, whose outcome
    may be unknown.

    Raises:
        Unavailable: in the place of PermissionDenied.
    """
    try:
        yield
    except PermissionDenied as denied:
        message = "A service that this one needs does not permit the call at present."
        raise Unavailable("UNAVAILABLE", message, metadata={"callee_reason": denied.reason}) from denied


def to_json(settlement: Settlement) -> dict[str, Any]:
    """A settlement as a JSON object."""
    return {
        "settlement_id": settlement.settlement_id,
        "kind": settlement.kind.value,
        "user_id": settlement.user_id,
        "subject": settlement.subject,
        "goods": [settlement.goods.text, settlement.goods.unit] if settlement.goods else None,
        "money": [settlement.money.minor, settlement.money.currency] if settlement.money else None,
    }


def from_json(data: Mapping[str, Any]) -> Settlement:
    """From what `to_json` made; further keys are ignored."""
    return Settlement(
        data["settlement_id"],
        Kind(data["kind"]),
        data["user_id"],
        data["subject"],
        Quantity.of(*data["goods"]) if data["goods"] else None,
        Money(*data["money"]) if data["money"] else None,
    )


class GoodsSteps:
    """Lots in and out."""

    def __init__(self, books: Ledger, vault: Vault, crops: CropGoods, clock: Clock) -> None:
        self._ledger = books
        self._vault = vault
        self._crops = crops
        self._clock = clock

    def sagas(self) -> list[Saga]:
        """The definitions."""
        return [
            Saga(
                SAGAS[Kind.GOODS_DEPOSIT],
                version=1,
                deadline=DEADLINE,
                steps=(
                    Step("commit", self.commit, undo=self.release, retry=_QUICK),
                    Step("credit", self.credit, pivot=True, local=True),
                ),
            ),
            Saga(
                SAGAS[Kind.GOODS_WITHDRAWAL],
                version=1,
                deadline=DEADLINE,
                steps=(
                    Step("deliver", self.deliver, pivot=True, timeout=_DELIVERING, retry=FOREVER),
                    Step("settle", self.settle, local=True),
                ),
                on_failed=Step("give_back", self.give_back, local=True),
            ),
        ]

    async def commit(self, ctx: StepContext) -> dict[str, Any]:
        wanted = from_json(ctx.data)
        assert wanted.goods is not None
        made = await self._crops.commit(ctx.idempotency_key, wanted.subject, wanted.user_id, wanted.goods)
        return committed_to_json(ctx.idempotency_key, made)

    async def release(self, ctx: StepContext) -> None:
        try:
            await self._crops.release(ctx.idempotency_key, ctx.data["subject"], ctx.action_key)
        except NotFound:
            return  # of no lot nothing is committed, nor will be

    async def credit(self, ctx: StepContext) -> None:
        wanted = from_json(ctx.data)
        await credit_goods(
            self._ledger,
            self._vault,
            wanted.settlement_id,
            wanted.subject,
            wanted.user_id,
            ctx.data,
            self._clock.now(),
        )

    async def deliver(self, ctx: StepContext) -> dict[str, Any]:
        wanted = from_json(ctx.data)
        assert wanted.goods is not None
        delivered, refused = [], []
        for number, delivery in enumerate(deliveries_of(ctx.data)):
            part, key = goods(delivery.amount, wanted.goods.unit), _part_of(ctx.idempotency_key, number)
            try:
                with denials_pass():
                    lot_id = await self._crops.deliver(key, delivery, part, wanted.user_id, f"P-{key}")
            except REFUSALS as refusal:
                # Of this part only: the others may be delivered already, so the step itself never refuses.
                refused.append([number, refusal.reason, refusal.message])
            else:
                delivered.append(lot_id)
                crashpoint("market.pool.delivered")
        return {"delivered": delivered, "refused": refused}

    async def settle(self, ctx: StepContext) -> None:
        deliveries = deliveries_of(ctx.data)
        await self._return(ctx, [deliveries[number] for number, _, _ in ctx.data["refused"]])

    async def give_back(self, ctx: StepContext) -> None:
        await self._return(ctx, deliveries_of(ctx.data))

    async def _return(self, ctx: StepContext, deliveries: Sequence[Delivery]) -> None:
        wanted = from_json(ctx.data)
        assert wanted.goods is not None
        amount = sum(delivery.amount for delivery in deliveries)
        if amount:
            asset = ledger.goods_asset(wanted.subject, wanted.goods.unit)
            await self._ledger.apply(
                ledger.given_back(ctx.idempotency_key, ledger.user(wanted.user_id), asset, amount)
            )
        # Balances before what stands behind them, everywhere, so that no two transactions block each other.
        for delivery in deliveries:
            await self._vault.put_back(delivery)


class MoneySteps:
    """Payments in and refunds out."""

    def __init__(self, books: Ledger, deposits: Deposits, payments: Payments) -> None:
        self._ledger = books
        self._deposits = deposits
        self._payments = payments

    def sagas(self) -> list[Saga]:
        """The definitions."""
        return [
            Saga(
                SAGAS[Kind.MONEY_DEPOSIT],
                version=1,
                deadline=DEADLINE,
                hidden=frozenset({"payment_method"}),
                steps=(
                    Step("authorize", self.authorize, undo=self.void, retry=_QUICK),
                    Step("capture", self.capture, pivot=True),
                    Step("credit", self.credit, local=True),
                ),
            ),
            Saga(
                SAGAS[Kind.MONEY_WITHDRAWAL],
                version=1,
                deadline=DEADLINE,
                steps=(Step("refund", self.refund, pivot=True),),
                on_failed=Step("give_back", self.give_back, local=True),
            ),
        ]

    async def authorize(self, ctx: StepContext) -> None:
        wanted = from_json(ctx.data)
        assert wanted.money is not None
        await self._payments.authorize(
            ctx.idempotency_key,
            wanted.settlement_id,
            wanted.user_id,
            wanted.money,
            ctx.data["payment_method"],
        )

    async def void(self, ctx: StepContext) -> None:
        await self._payments.void(ctx.idempotency_key, ctx.data["settlement_id"])

    async def capture(self, ctx: StepContext) -> None:
        await self._payments.capture(ctx.idempotency_key, ctx.data["settlement_id"])

    async def credit(self, ctx: StepContext) -> None:
        wanted = from_json(ctx.data)
        assert wanted.money is not None
        holder, asset = ledger.user(wanted.user_id), ledger.money_asset(wanted.money.currency)
        await self._ledger.apply(ledger.deposit(wanted.settlement_id, holder, asset, wanted.money.minor))
        await self._deposits.add(wanted.settlement_id, wanted.user_id, wanted.money)

    async def refund(self, ctx: StepContext) -> None:
        wanted = from_json(ctx.data)
        assert wanted.money is not None
        with denials_pass():
            await self._payments.refund(
                ctx.idempotency_key, wanted.subject, "withdrawn from the market", wanted.money
            )

    async def give_back(self, ctx: StepContext) -> None:
        wanted = from_json(ctx.data)
        assert wanted.money is not None
        holder, asset = ledger.user(wanted.user_id), ledger.money_asset(wanted.money.currency)
        await self._ledger.apply(ledger.given_back(ctx.idempotency_key, holder, asset, wanted.money.minor))
        await self._deposits.put_back(wanted.subject, wanted.money)
        # Perhaps it was refused because the payment was given back by somebody else meanwhile.
        movement_id = _part_of(ctx.idempotency_key, 0)
        await take_refunded(self._ledger, self._deposits, movement_id, wanted.subject, 0)


async def take_refunded(
    books: Ledger, deposits: Deposits, movement_id: str, deposit_id: str, total: int
) -> None:
    """Take off a balance what payments gave back of its deposit without a withdrawal, or what is left of it.

    Args:
        total: what payments has given back of it in all, by what is heard of now; minor units.
    """
    paid = await deposits.owner_of(deposit_id)
    if paid is None:
        return  # a payment of another kind
    holder, asset = ledger.user(paid[0]), ledger.money_asset(paid[1])
    balance = await books.lock(holder, asset)
    amount = min(balance, await deposits.refunded(deposit_id, total))
    if amount:
        await books.apply(ledger.withdrawal(movement_id, holder, asset, amount))


async def credit_goods(
    books: Ledger,
    vault: Vault,
    deposit_id: str,
    lot_id: str,
    user_id: str,
    data: Mapping[str, Any],
    now: datetime,
    *,
    reserved: bool = False,
) -> None:
    """Add committed goods to their depositor's balance and their lot to the vault.

    Args:
        data: has what `committed_to_json` made.
        reserved: whether they are kept from being delivered. Default False.

    Raises:
        InvalidArgument: AMOUNT_INVALID.
        FailedPrecondition: POOL_FULL; what `require_depositable` refuses. Refused here and not where they
            are committed, so that what was committed is released.
    """
    committed = Quantity.of(*data["committed"])
    amount = micro(committed, committed.unit)
    expires_at = datetime.fromisoformat(data["expires_at"])
    require_depositable(amount, expires_at, now)
    holder, asset = ledger.user(user_id), ledger.goods_asset(data["product_code"], committed.unit)
    await require_room(books, holder, asset, amount)
    await books.apply(ledger.deposit(deposit_id, holder, asset, amount))
    await vault.add(
        VaultLot(
            deposit_id=deposit_id,
            lot_id=lot_id,
            commitment_id=data["commitment_id"],
            owner_id=user_id,
            product_code=data["product_code"],
            unit=committed.unit,
            remaining=amount,
            expires_at=expires_at,
            reserved=reserved,
        )
    )


async def require_room(books: Ledger, holder: str, asset: str, amount: int) -> None:
    """Refuse a deposit that has not come in yet.

    Raises:
        FailedPrecondition: POOL_FULL.
    """
    held = -await books.balance(ledger.OUTSIDE, asset)
    ledger.require_room(asset, amount, await books.balance(holder, asset), held)


def committed_to_json(commitment_id: str, made: Committed) -> dict[str, Any]:
    """What crops committed, for the steps that follow."""
    return {
        "commitment_id": commitment_id,
        "product_code": made.product_code,
        "committed": [made.quantity.text, made.quantity.unit],
        "expires_at": made.expires_at.isoformat(),
    }


def deliveries_of(data: Mapping[str, Any]) -> list[Delivery]:
    """Those that a withdrawal was started with."""
    return [Delivery(**each) for each in data["deliveries"]]


def deliveries_to_json(deliveries: Sequence[Delivery]) -> list[dict[str, Any]]:
    """As `deliveries_of` reads them."""
    return [asdict(delivery) for delivery in deliveries]


def _part_of(key: str, number: int) -> str:
    return str(uuid5(UUID(key), str(number)))
