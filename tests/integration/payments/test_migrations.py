"""Payments that were stored before refunds were told apart."""

from chassis.database import Database
from chassis.database.migrations import downgrade, upgrade
from chassis.ids import SystemIds
from services.payments.adapters.db import PostgresPayments
from services.payments.domain.payment import Status
from tests.integration.payments.conftest import ANN, TEN

_PAYMENT = """
    INSERT INTO payment VALUES ($1, $1, $2, 1000, 'USD', 'pm_card', $3, $4, '', $5, now(), now())
"""
_REFUND = "INSERT INTO refund VALUES ($1, $2, $3, 'USD', NULL, NULL, '', $4)"


async def test_refunds_and_methods_of_old_payments_are_sorted(database_dsn: str, database: Database):
    await upgrade(database_dsn, "payments")
    await downgrade(database_dsn, "payments", "0001")
    store, (refunded, promised, pending) = PostgresPayments(database), [SystemIds().uuid7() for _ in range(3)]
    await database.execute(_PAYMENT, refunded, ANN, "CAPTURED", "REFUNDED", 1000)
    await database.execute(_PAYMENT, promised, ANN, "CAPTURED", "REFUNDED", 1000)
    await database.execute(_PAYMENT, pending, ANN, "PENDING", "PENDING", 0)
    for order_id, minor, done in ((refunded, 1000, True), (promised, 400, True), (promised, 600, False)):
        await database.execute(_REFUND, SystemIds().uuid7(), order_id, minor, done)

    await upgrade(database_dsn, "payments")
    found = [await store.of_order(order_id) for order_id in (refunded, promised, pending)]
    assert [each and (each.promised_minor, each.refunded_minor, each.method) for each in found] == [
        (1000, 1000, ""),
        (1000, 400, ""),
        (0, 0, "pm_card"),
    ]
    for payment in found:
        assert payment is not None
        payment.ensure_repeats(ANN, TEN, "pm_card")
    shown = await store.page(ANN, Status.PARTIALLY_REFUNDED, None, 10)
    assert [payment.order_id for payment in shown] == [promised]

    await downgrade(database_dsn, "payments", "0001")
    given_back = "SELECT status, refunded_minor FROM payment WHERE order_id = $1"
    assert tuple(await database.fetchrow(given_back, promised)) == ("REFUNDED", 1000)
