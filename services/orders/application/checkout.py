"""Turn a cart into an order and wait for what becomes of it."""

import json
from collections.abc import Sequence
from hashlib import sha256

from chassis.clock import Clock
from chassis.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Violation,
)
from chassis.ids import IdSource
from chassis.transactions import Transactions
from chassis.waiting import patience
from services.orders.application.checkout_data import CheckoutData
from services.orders.application.ports import Carts, Catalog, CheckoutSagas, Events, Orders
from services.orders.domain.events import Placed
from services.orders.domain.order import Order, State, draft

_MESSAGES = {
    "OUT_OF_STOCK": "the venue has not enough in stock for this order",
    "PAYMENT_METHOD_INVALID": "the payment method is not one that can be charged; order anew with another",
    "PAYMENT_DECLINED": "the payment was declined; nothing is charged",
    "PROVIDER_TIMEOUT": "the payment provider did not answer; nothing is reserved or charged, order anew",
    "LOT_RECALLED": "a lot for this order was recalled; nothing is charged",
    "LOT_HELD": "a lot for this order is held back; nothing is charged",
}


class Checkout:
    """The same request_id always leads to the same order and the same answer."""

    def __init__(
        self,
        transactions: Transactions,
        orders: Orders,
        carts: Carts,
        catalog: Catalog,
        sagas: CheckoutSagas,
        events: Events,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._orders = orders
        self._carts = carts
        self._catalog = catalog
        self._sagas = sagas
        self._events = events
        self._clock = clock
        self._ids = ids

    async def __call__(
        self, guest_id: str, request_id: str, payment_method: str, items: Sequence[tuple[str, int]]
    ) -> Order:
        """Order `items`, or what is in the cart when there are none, and wait for the outcome.

        Raises:
            FailedPrecondition: OUT_OF_STOCK, PAYMENT_DECLINED, PROVIDER_TIMEOUT, LOT_RECALLED, LOT_HELD,
                CHECKOUT_FAILED, CART_EMPTY, CART_OTHER_VENUE, MENU_ITEM_UNAVAILABLE, CURRENCY_MIXED.
            InvalidArgument: PAYMENT_METHOD_INVALID.
            NotFound: MENU_ITEM_NOT_FOUND.
            AlreadyExists: REQUEST_ID_REUSED.
            DeadlineExceeded: CHECKOUT_UNDER_WAY, the outcome is not known yet.
        """
        request_hash = _hash(payment_method, items)
        order = await self._orders.of_request(guest_id, request_id)
        if order is None:
            order = await self._place(guest_id, request_id, request_hash, payment_method, items)
        if order.request_hash != request_hash:
            raise AlreadyExists("REQUEST_ID_REUSED", "the request_id was used for another order")
        if not order.state.final:
            order = await self._await_end(order.order_id)
        return _answer(order)

    async def _place(
        self,
        guest_id: str,
        request_id: str,
        request_hash: str,
        payment_method: str,
        items: Sequence[tuple[str, int]],
    ) -> Order:
        cart = await self._carts.get(guest_id)
        wanted = merged(items) if items else cart.items
        found = await self._catalog.menu_items([item for item, _ in wanted]) if wanted else ()
        drafted = draft((item, count) for item, (_, count) in zip(found, wanted, strict=True))
        now = self._clock.now()
        order = Order(
            order_id=self._ids.uuid7(),
            guest_id=guest_id,
            venue_id=drafted.venue_id,
            lines=drafted.lines,
            total=drafted.total,
            state=State.PENDING,
            created_at=now,
            updated_at=now,
            request_id=request_id,
            request_hash=request_hash,
        )
        data = CheckoutData(
            order_id=order.order_id,
            guest_id=guest_id,
            venue_id=order.venue_id,
            payment_method=payment_method,
            total=order.total,
            needs=drafted.needs,
            cart_revision=None if items else cart.revision,
        )
        async with self._transactions.transaction():
            if await self._orders.add(order):
                await self._events.publish(Placed(order))
                await self._sagas.start(order.order_id, data.to_json())
                return order
        return await self._existing(guest_id, request_id)

    async def _existing(self, guest_id: str, request_id: str) -> Order:
        order = await self._orders.of_request(guest_id, request_id)
        if order is None:
            raise NotFound("ORDER_NOT_FOUND", "the order of this request is gone")
        return order

    async def _await_end(self, order_id: str) -> Order:
        await self._sagas.ended(order_id, patience(self._clock))
        order = await self._orders.get(order_id)
        if order is None:
            raise NotFound("ORDER_NOT_FOUND", "there is no such order")
        if not order.state.final:
            raise DeadlineExceeded(
                "CHECKOUT_UNDER_WAY",
                "the outcome is not known yet; ask again with the same request_id",
                metadata={"order_id": order_id},
            )
        return order


def merged(items: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The items with the counts of repeated ids added up."""
    counts: dict[str, int] = {}
    for item, count in items:
        counts[item] = counts.get(item, 0) + count
    return tuple(counts.items())


def _hash(payment_method: str, items: Sequence[tuple[str, int]]) -> str:
    return sha256(json.dumps([payment_method, list(merged(items))]).encode()).hexdigest()


def _answer(order: Order) -> Order:
    if order.state is not State.FAILED:
        return order
    reason = order.failure_reason
    message = _MESSAGES.get(reason, "the checkout could not be completed; nothing is reserved or charged")
    facts = {"order_id": order.order_id}
    if reason == "PAYMENT_METHOD_INVALID":
        wrong = Violation("payment_method", "is not one that can be charged")
        raise InvalidArgument(reason, message, metadata=facts, violations=(wrong,))
    raise FailedPrecondition(reason, message, metadata=facts)
