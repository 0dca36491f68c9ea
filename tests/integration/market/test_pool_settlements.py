"""Goods and money come into balances once and go out once, whatever is asked again or refused."""

import asyncio
from typing import Any
from uuid import UUID, uuid5

import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.errors import FailedPrecondition
from chassis.money import Money
from chassis.saga import Direction, StepContext, idempotency_key
from greenledger.crops.v1 import crops_pb2
from greenledger.market.v1 import pools_pb2 as pb
from greenledger.payments.v1 import payments_pb2
from greenledger.payments.v1.payments_pb2_grpc import PaymentServiceStub
from services.market.adapters.pool_db import PostgresLedger
from services.market.adapters.pool_vault import PostgresDeposits, PostgresVault
from services.market.application.pool_settle import settlement_id_of
from services.market.application.pool_settle_saga import MoneySteps, take_refunded, to_json
from services.market.domain.pool_ledger import deposit, given_back, withdrawal
from services.market.domain.pool_settlement import Kind, Settlement
from tests.integration.market.conftest import GROWER, OTHER, VENUE, Town
from tests.integration.market.pool_exchange import Exchange, euros, fresh, kg, open_exchange, refused


@pytest_asyncio.fixture
async def exchange(town: Town) -> Exchange:
    return await open_exchange(town)


async def take_goods(exchange: Exchange, subject: str, amount: str, request_id: str = "") -> pb.Settlement:
    request = pb.WithdrawGoodsRequest(
        request_id=request_id or fresh(), product_code="leek", quantity=kg(amount)
    )
    return await exchange.stub.WithdrawGoods(request, metadata=exchange.town.as_(subject))


async def take_money(
    exchange: Exchange, subject: str, deposit_id: str, units: int, request_id: str = ""
) -> pb.Settlement:
    request = pb.WithdrawMoneyRequest(
        request_id=request_id or fresh(), deposit_id=deposit_id, amount=euros(units)
    )
    return await exchange.stub.WithdrawMoney(request, metadata=exchange.town.as_(subject))


async def recall(exchange: Exchange, lot_id: str) -> None:
    """Without telling the market."""
    await exchange.town.commands.RecallLot(
        crops_pb2.RecallLotRequest(
            request_id=fresh(), lot_id=lot_id, reason="listeria", recall_class=crops_pb2.RECALL_CLASS_I
        ),
        metadata=exchange.town.as_(GROWER),
    )


async def paid(exchange: Exchange, deposit_id: str) -> payments_pb2.Payment:
    auditor = exchange.town.as_(OTHER, "auditor")
    stub = PaymentServiceStub(exchange.town.payments.channel)
    return await stub.GetPayment(payments_pb2.GetPaymentRequest(order_id=deposit_id), metadata=auditor)


async def test_deposited_goods_are_committed_in_their_lot(exchange: Exchange) -> None:
    lot = await exchange.town.look(exchange.lot_id)
    assert lot.committed_quantity == kg("100")
    request_id = fresh()
    first, again = [await exchange.bring(GROWER, exchange.lot_id, "50", request_id) for _ in range(2)]
    assert first == again
    assert (first.kind, first.goods, first.lot_ids) == (
        pb.SETTLEMENT_KIND_GOODS_DEPOSIT,
        kg("50"),
        [exchange.lot_id],
    )
    assert await refused(exchange.bring(GROWER, exchange.lot_id, "49", request_id)) == "REQUEST_ID_REUSED"
    assert await refused(exchange.bring(GROWER, exchange.lot_id, "1")) == "QUANTITY_EXCEEDED"
    assert await refused(exchange.bring(VENUE, exchange.lot_id, "1")) == "NOT_OWNER"
    assert await refused(exchange.bring(GROWER, fresh(), "1")) == "LOT_NOT_FOUND"
    assert await refused(exchange.bring(GROWER, exchange.lot_id, "0")) == "QUANTITY_ZERO"
    await exchange.check_books()


async def test_bought_goods_leave_as_a_lot_of_the_buyers(exchange: Exchange) -> None:
    await exchange.pay_in(VENUE, euros(200))
    await exchange.swap(VENUE, pb.SWAP_SIDE_BUY, goods=kg("10"), limit_money=euros(200))
    request_id = fresh()
    done, again = [await take_goods(exchange, VENUE, "7.5", request_id) for _ in range(2)]
    assert done == again
    assert done.goods == kg("7.5")
    [lot_id] = done.lot_ids
    lot = await exchange.town.look(lot_id)
    assert (lot.owner_id, lot.quantity, lot.product_code) == (VENUE, kg("7.5"), "leek")
    assert (await exchange.town.look(exchange.lot_id)).committed_quantity == kg("92.5")
    assert await refused(take_goods(exchange, VENUE, "2.500001")) == "BALANCE_EXCEEDED"
    await exchange.check_books()


async def test_goods_go_back_to_who_brought_them(exchange: Exchange) -> None:
    await exchange.bring(GROWER, exchange.lot_id, "50")
    [lot_id] = (await take_goods(exchange, GROWER, "50")).lot_ids
    lot = await exchange.town.look(lot_id)
    assert (lot.owner_id, lot.quantity, lot.transfer_count) == (GROWER, kg("50"), 0)
    await exchange.check_books()


async def test_several_lots_are_delivered_where_one_does_not_hold_enough(exchange: Exchange) -> None:
    other = await exchange.town.lot("5", owner=OTHER)
    await exchange.bring(OTHER, other, "5")
    await exchange.bring(GROWER, exchange.lot_id, "50")
    done = await take_goods(exchange, GROWER, "50")
    assert done.goods == kg("50")
    lots = [await exchange.town.look(lot_id) for lot_id in done.lot_ids]
    assert {lot.owner_id for lot in lots} == {GROWER}
    assert sum(float(lot.quantity.amount) for lot in lots) == 50
    await exchange.check_books()


async def test_dust_is_refused_and_is_free_in_its_lot_again(exchange: Exchange) -> None:
    assert await refused(exchange.bring(GROWER, exchange.lot_id, "0.000999")) == "DEPOSIT_TOO_SMALL"
    assert (await exchange.town.look(exchange.lot_id)).committed_quantity == kg("100")
    await exchange.check_books()


async def test_goods_that_lie_in_too_many_lots_are_taken_of_the_largest(exchange: Exchange) -> None:
    database = exchange.town.market.runtime.database
    await database.execute(
        """
        INSERT INTO vault_lot (deposit_id, lot_id, commitment_id, owner_id, product_code, unit, remaining,
                               expires_at, reserved)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), owner_id, product_code, unit, 1000,
               now() + interval '1 h', false
        FROM vault_lot, generate_series(1, 60)
        """
    )
    vault, now = PostgresVault(database), SystemClock().now()
    [largest, *_] = await vault.take("leek", "KGM", 50_001, now)
    assert largest.lot_id == exchange.lot_id
    assert len(await vault.take("leek", "KGM", 50_000, now)) == 50
    await database.execute("UPDATE vault_lot SET remaining = 1000")
    with pytest.raises(FailedPrecondition) as refusal:
        await vault.take("leek", "KGM", 50_001, now)
    assert refusal.value.reason == "WITHDRAWAL_TOO_SCATTERED"


async def test_what_crops_does_not_deliver_is_in_the_balance_again(exchange: Exchange) -> None:
    sound = await exchange.town.lot("5", owner=OTHER)
    await exchange.bring(OTHER, sound, "5")
    await exchange.bring(GROWER, exchange.lot_id, "50")
    await recall(exchange, exchange.lot_id)
    assert await refused(take_goods(exchange, GROWER, "2")) == "LOT_RECALLED"
    assert (await exchange.balances(GROWER))["leek"] == "50"
    await exchange.check_books()


async def test_a_part_that_is_refused_takes_nothing_from_one_that_was_delivered(exchange: Exchange) -> None:
    """Who withdraws has made sure that the second part cannot be delivered, in the hope of both."""
    first = await exchange.town.lot("5", owner=OTHER)
    database = exchange.town.market.runtime.database
    await exchange.bring(OTHER, first, "5")
    await database.execute("UPDATE vault_lot SET expires_at = now() + '1 h' WHERE lot_id = $1", first)
    await exchange.bring(GROWER, exchange.lot_id, "50")
    request_id = fresh()
    saga_id = settlement_id_of(GROWER, Kind.GOODS_WITHDRAWAL, request_id)
    part = uuid5(UUID(idempotency_key(saga_id, "deliver", Direction.ACTION)), "1")
    await exchange.town.lot("1", lot_code=f"P-{part}")
    done = await take_goods(exchange, GROWER, "20", request_id)
    assert (done.goods, len(done.lot_ids)) == (kg("5"), 1)
    assert (await exchange.balances(GROWER))["leek"] == "45"
    await exchange.check_books()


async def test_money_comes_in_by_a_payment_and_goes_out_by_its_refund(exchange: Exchange) -> None:
    request_id = fresh()
    deposit_id = await exchange.pay_in(VENUE, euros(50), request_id)
    assert await exchange.pay_in(VENUE, euros(50), request_id) == deposit_id
    assert (await paid(exchange, deposit_id)).captured_amount == euros(50)
    again = fresh()
    for _ in range(2):
        await take_money(exchange, VENUE, deposit_id, 20, again)
    assert (await paid(exchange, deposit_id)).refunded_amount == euros(20)
    assert await exchange.balances(VENUE) == {"EUR": "30.00"}
    assert await refused(take_money(exchange, VENUE, deposit_id, 31)) == "BALANCE_EXCEEDED"
    await exchange.pay_in(VENUE, euros(50))
    assert await refused(take_money(exchange, VENUE, deposit_id, 31)) == "DEPOSIT_EXCEEDED"
    assert await refused(take_money(exchange, OTHER, deposit_id, 1)) == "BALANCE_EXCEEDED"
    await exchange.pay_in(OTHER, euros(50))
    assert await refused(take_money(exchange, OTHER, deposit_id, 1)) == "DEPOSIT_NOT_FOUND"
    await exchange.check_books()


async def test_a_declined_payment_brings_nothing_and_may_be_tried_again(exchange: Exchange) -> None:
    request = pb.DepositMoneyRequest(request_id=fresh(), amount=euros(5), payment_method="pm_declined")
    metadata = exchange.town.as_(VENUE)
    assert await refused(exchange.stub.DepositMoney(request, metadata=metadata)) == "PAYMENT_DECLINED"
    assert await exchange.balances(VENUE) == {}
    request.payment_method = "pm_card"
    await exchange.stub.DepositMoney(request, metadata=metadata)
    assert await exchange.balances(VENUE) == {"EUR": "5.00"}


async def test_a_deposit_that_somebody_else_gave_back_is_taken_off_the_balance_once(
    exchange: Exchange,
) -> None:
    database = exchange.town.market.runtime.database
    books, deposits = PostgresLedger(database), PostgresDeposits(database)

    async def hears(deposit_id: str, total: int) -> None:
        async with database.transaction():
            await take_refunded(books, deposits, fresh(), deposit_id, total)

    deposit_id = await exchange.pay_in(VENUE, euros(50))
    await take_money(exchange, VENUE, deposit_id, 20)
    await hears(deposit_id, 20_00)
    assert await exchange.balances(VENUE) == {"EUR": "30.00"}
    for total in (35_00, 35_00, 20_00):
        await hears(deposit_id, total)
        assert await exchange.balances(VENUE) == {"EUR": "15.00"}
    await hears(fresh(), 10_00)
    await exchange.check_books()
    await PaymentServiceStub(exchange.town.payments.channel).RefundPayment(
        payments_pb2.RefundPaymentRequest(request_id=fresh(), order_id=deposit_id, reason="by hand"),
        metadata=exchange.town.as_(OTHER, "operator"),
    )
    # Heard of while a withdrawal of the last part is under way, which payments then refuses.
    async with database.transaction():
        await books.apply(withdrawal(fresh(), f"user:{VENUE}", "money:EUR", 15_00))
        await deposits.take(deposit_id, VENUE, Money(15_00, "EUR"))
    await hears(deposit_id, 50_00)
    wanted = Settlement(fresh(), Kind.MONEY_WITHDRAWAL, VENUE, deposit_id, money=Money(15_00, "EUR"))
    key = fresh()
    async with database.transaction():
        unused: Any = None
        steps = MoneySteps(books, deposits, unused)
        context = StepContext(
            fresh(), "give_back", Direction.ACTION, to_json(wanted), key, key, 1, SystemClock().now()
        )
        await steps.give_back(context)
    assert await exchange.balances(VENUE) == {}
    await exchange.check_books()


async def test_money_that_was_taken_is_credited_however_full_the_market_is(exchange: Exchange) -> None:
    database = exchange.town.market.runtime.database
    holder, full = f"user:{VENUE}", 10**15 - 1
    books = PostgresLedger(database)
    await books.apply(deposit(fresh(), holder, "money:EUR", full))
    await books.apply(given_back(fresh(), holder, "money:EUR", 1))
    assert await books.balance(holder, "money:EUR") == full + 1
    request = pb.DepositMoneyRequest(request_id=fresh(), amount=euros(5), payment_method="pm_card")
    deposited = exchange.stub.DepositMoney(request, metadata=exchange.town.as_(VENUE))
    assert await refused(deposited) == "POOL_FULL"


async def test_the_same_withdrawal_asked_at_once_happens_once(exchange: Exchange) -> None:
    deposit_id, request_id = await exchange.pay_in(VENUE, euros(50)), fresh()
    asked = [take_money(exchange, VENUE, deposit_id, 10, request_id) for _ in range(5)]
    done = await asyncio.gather(*asked)
    assert len({each.settlement_id for each in done}) == 1
    assert await exchange.balances(VENUE) == {"EUR": "40.00"}
    await exchange.check_books()


async def test_withdrawals_at_once_never_take_more_than_there_is(exchange: Exchange) -> None:
    deposit_id = await exchange.pay_in(VENUE, euros(50))
    asked = [take_money(exchange, VENUE, deposit_id, 20) for _ in range(5)]
    done = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(each, pb.Settlement) for each in done) == 2
    assert await exchange.balances(VENUE) == {"EUR": "10.00"}
    assert (await paid(exchange, deposit_id)).refunded_amount == euros(40)
    await exchange.check_books()


@pytest.mark.parametrize("cents", [88_88, 99_99], ids=["late authorization", "late capture"])
async def test_a_payment_that_is_answered_too_late_is_credited_once(exchange: Exchange, cents: int) -> None:
    await exchange.pay_in(VENUE, euros(cents // 100, cents % 100))
    assert await exchange.balances(VENUE) == {"EUR": f"{cents // 100}.{cents % 100}"}
    await exchange.check_books()


async def test_money_that_payments_does_not_give_back_is_in_the_balance_again(exchange: Exchange) -> None:
    """Somebody with the power to has given the payment back behind the market's back."""
    deposit_id = await exchange.pay_in(VENUE, euros(50))
    await PaymentServiceStub(exchange.town.payments.channel).RefundPayment(
        payments_pb2.RefundPaymentRequest(request_id=fresh(), order_id=deposit_id, reason="by hand"),
        metadata=exchange.town.as_(OTHER, "operator"),
    )
    assert await refused(take_money(exchange, VENUE, deposit_id, 20)) == "SETTLEMENT_FAILED"
    assert await exchange.balances(VENUE) == {"EUR": "50.00"}
    await exchange.check_books()
