"""Bring goods and money into one's balance and take them out, and wait until that is done."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.errors import (
    Aborted,
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.saga import Refusal, newest_attempt
from chassis.transactions import Transactions
from chassis.waiting import patience
from services.market.application.pool_ports import Deposits, Ledger, SettlementProgress, Settlements, Vault
from services.market.application.pool_settle_saga import deliveries_to_json, require_room
from services.market.domain import pool_ledger as ledger
from services.market.domain.pool import micro, require_amount
from services.market.domain.pool_settlement import Kind, Settlement

ATTEMPTS = 32
"""How often one request_id may be used to try again after a refusal; then the last refusal stands."""

_SETTLEMENTS = UUID("0f2b7c7a-64b8-5bd0-9d5e-1e0d2f5a6b31")
_KINDS: dict[str, type[DomainError]] = {
    "LOT_NOT_FOUND": NotFound,
    "NOT_OWNER": PermissionDenied,
    "QUANTITY_ZERO": InvalidArgument,
    "UNIT_MISMATCH": InvalidArgument,
    "PAYMENT_METHOD_INVALID": InvalidArgument,
    **dict.fromkeys(
        (
            *("LOT_RECALLED", "LOT_HELD", "LOT_EXPIRED", "QUANTITY_EXCEEDED", "TRANSFER_UNDER_WAY"),
            *("OFFER_OPEN", "LOT_IN_TRANSIT", "LOT_IN_UNIT", "PAYMENT_DECLINED", "POOL_FULL"),
            *("DEPOSIT_TOO_SMALL", "LOT_EXPIRES_SOON"),
        ),
        FailedPrecondition,
    ),
}

Prepare = Callable[[Settlement], Awaitable[Mapping[str, Any]]]


def settlement_id_of(user_id: str, kind: Kind, request_id: str, attempt: int = 1) -> str:
    """The settlement of a caller's request: a repeated request finds it instead of starting another."""
    return str(uuid5(_SETTLEMENTS, f"{user_id}/{kind}/{request_id}/{attempt}"))


class _Begun(Exception):
    """The same request has begun it at the same time."""


class Settle:
    """The same request_id of the same caller is the same settlement; a refused one is tried anew.

    Every way in or out raises, besides its own refusals:
        AlreadyExists: REQUEST_ID_REUSED.
        Unavailable: SETTLEMENT_FAILED, a participant did not answer; balances are as they were.
        DeadlineExceeded: SETTLEMENT_UNDER_WAY, the outcome is not known yet.
    """

    def __init__(
        self,
        transactions: Transactions,
        settlements: Settlements,
        books: Ledger,
        vault: Vault,
        deposits: Deposits,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._settlements = settlements
        self._ledger = books
        self._vault = vault
        self._deposits = deposits
        self._clock = clock

    async def deposit_goods(
        self, user_id: str, request_id: str, lot_id: str, quantity: Quantity
    ) -> SettlementProgress:
        """Commit a quantity of a lot and add it to the balance.

        Raises:
            FailedPrecondition: DEPOSIT_TOO_SMALL, LOT_EXPIRES_SOON; and what crops refuses.
        """

        async def prepare(settlement: Settlement) -> Mapping[str, Any]:
            return {}

        wanted = Settlement("", Kind.GOODS_DEPOSIT, user_id, lot_id, goods=quantity)
        return await self._run(request_id, wanted, prepare)

    async def withdraw_goods(
        self, user_id: str, request_id: str, product_code: str, quantity: Quantity
    ) -> SettlementProgress:
        """Lower the balance and deliver new lots for it.

        Raises:
            FailedPrecondition: BALANCE_EXCEEDED, GOODS_NOT_COVERED, WITHDRAWAL_TOO_SCATTERED.
        """

        async def prepare(settlement: Settlement) -> Mapping[str, Any]:
            amount = require_amount(micro(quantity, quantity.unit), "quantity")
            await self._lower(settlement, ledger.goods_asset(product_code, quantity.unit), amount)
            taken = await self._vault.take(product_code, quantity.unit, amount, self._clock.now())
            return {"deliveries": deliveries_to_json(taken)}

        wanted = Settlement("", Kind.GOODS_WITHDRAWAL, user_id, product_code, goods=quantity)
        return await self._run(request_id, wanted, prepare)

    async def deposit_money(
        self, user_id: str, request_id: str, amount: Money, payment_method: str
    ) -> SettlementProgress:
        """Pay in. Refuses what payments refuses, and POOL_FULL."""

        async def prepare(settlement: Settlement) -> Mapping[str, Any]:
            # Before anything is paid: afterwards it could not be refused.
            asset = ledger.money_asset(amount.currency)
            await require_room(self._ledger, ledger.user(user_id), asset, amount.minor)
            return {"payment_method": payment_method}

        wanted = Settlement("", Kind.MONEY_DEPOSIT, user_id, "", money=amount)
        return await self._run(request_id, wanted, prepare)

    async def withdraw_money(
        self, user_id: str, request_id: str, deposit_id: str, amount: Money
    ) -> SettlementProgress:
        """Give back what a payment brought, or part of it.

        Raises:
            NotFound: DEPOSIT_NOT_FOUND.
            InvalidArgument: CURRENCY_MISMATCH.
            FailedPrecondition: DEPOSIT_EXCEEDED, BALANCE_EXCEEDED.
        """

        async def prepare(settlement: Settlement) -> Mapping[str, Any]:
            await self._lower(settlement, ledger.money_asset(amount.currency), amount.minor)
            await self._deposits.take(deposit_id, user_id, amount)
            return {}

        wanted = Settlement("", Kind.MONEY_WITHDRAWAL, user_id, deposit_id, money=amount)
        return await self._run(request_id, wanted, prepare)

    async def _lower(self, settlement: Settlement, asset: str, amount: int) -> None:
        holder = ledger.user(settlement.user_id)
        if not await self._ledger.apply(ledger.withdrawal(settlement.settlement_id, holder, asset, amount)):
            raise _Begun

    async def _run(self, request_id: str, wanted: Settlement, prepare: Prepare) -> SettlementProgress:
        async def start(settlement_id: str) -> SettlementProgress:
            asked = replace(wanted, settlement_id=settlement_id)
            return await self._settlements.find(settlement_id) or await self._begin(asked, prepare)

        settlement_id, progress = await newest_attempt(
            ATTEMPTS,
            lambda attempt: settlement_id_of(wanted.user_id, wanted.kind, request_id, attempt),
            start,
            lambda progress: replace(progress.settlement, settlement_id=wanted.settlement_id) == wanted,
            "the request_id was used for another settlement",
        )
        if progress.refusal is None and not progress.done:
            progress = await self._settlements.outcome(settlement_id, patience(self._clock))
        return _answer(progress)

    async def _begin(self, settlement: Settlement, prepare: Prepare) -> SettlementProgress:
        try:
            async with self._transactions.transaction():
                return await self._settlements.start(settlement, await prepare(settlement))
        except _Begun:
            found = await self._settlements.find(settlement.settlement_id)
            if found is None:
                raise Aborted("CONCURRENT_CHANGE", "the balance changed meanwhile; try again") from None
            return found


def _answer(progress: SettlementProgress) -> SettlementProgress:
    if progress.refusal is None and not progress.done:
        raise DeadlineExceeded(
            "SETTLEMENT_UNDER_WAY", "the outcome is not known yet; ask again with the same request_id"
        )
    if progress.refusal is not None:
        raise _error(progress.refusal)
    refused = progress.data.get("refused")
    if refused and not progress.data["delivered"]:
        _, reason, message = refused[0]
        raise _error(Refusal(reason, message))
    return progress


def _error(refusal: Refusal) -> DomainError:
    return refusal.error(
        _KINDS, "SETTLEMENT_FAILED", "the settlement could not be completed; balances are as they were"
    )
