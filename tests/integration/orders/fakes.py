"""Other services in memory; inventory and payments pass the suite of the real ones (test_participants.py)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from chassis.errors import AlreadyExists, DomainError, FailedPrecondition, InvalidArgument, NotFound
from chassis.ids import SystemIds
from chassis.money import Money
from chassis.quantity import Quantity
from services.orders.domain.order import Ingredient, MenuItem, Need

DECLINED_MINOR = 66_66
OPEN = ("HELD", "CONFIRMED")


@dataclass
class Faults:
    """What goes wrong at the next calls, by method: before the effect, or after it (the answer is lost)."""

    before: dict[str, list[DomainError]] = field(default_factory=dict)
    after: dict[str, list[DomainError]] = field(default_factory=dict)
    then: dict[str, Callable[[], None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def enter(self, call: str) -> None:
        self.calls.append(call)
        if self.before.get(call):
            raise self.before[call].pop(0)

    def leave(self, call: str) -> None:
        if call in self.then:
            self.then.pop(call)()
        if self.after.get(call):
            raise self.after[call].pop(0)


class FakeCatalog:
    """The catalog service."""

    def __init__(self) -> None:
        self.items: dict[str, MenuItem] = {}
        self.owners: dict[str, str] = {}

    def add(self, venue_id: str, price: Money, *, owner: str = "", **changes: object) -> str:
        """The id of a new item that uses one piece of kale."""
        item = MenuItem(
            menu_item_id=SystemIds().uuid7(),
            venue_id=venue_id,
            name="Soup",
            price=price,
            available=True,
            ingredients=(Ingredient(Quantity.of(1, "H87"), "kale"),),
        )
        self.items[item.menu_item_id] = replace(item, **changes)
        self.owners.setdefault(venue_id, owner)
        return item.menu_item_id

    async def menu_items(self, menu_item_ids: Sequence[str]) -> Sequence[MenuItem]:
        for menu_item_id in menu_item_ids:
            if menu_item_id not in self.items:
                raise NotFound("MENU_ITEM_NOT_FOUND", "there is no such menu item")
        return [self.items[menu_item_id] for menu_item_id in menu_item_ids]

    async def venue_owner(self, venue_id: str) -> str:
        if venue_id not in self.owners:
            raise NotFound("VENUE_NOT_FOUND", "there is no such venue")
        return self.owners[venue_id]


class FakeInventory:
    """The inventory service with one product, counted in pieces."""

    def __init__(self, on_hand: int = 10) -> None:
        self.on_hand = on_hand
        self.recalled = self.held = False
        self.states: dict[str, str] = {}
        self.amounts: dict[str, int] = {}
        self.faults = Faults()

    @property
    def reserved(self) -> int:
        """What open reservations bind."""
        return sum(self.amounts[order] for order, state in self.states.items() if state in OPEN)

    def recall(self) -> None:
        """All of it must not be used any more."""
        self.recalled = True

    def hold_back(self) -> None:
        """None of it may be used for now."""
        self.held = True

    async def reserve(self, key: str, order_id: str, venue_id: str, needs: Sequence[Need]) -> None:
        self.faults.enter("reserve")
        if self.states.get(order_id) == "RELEASED":
            raise FailedPrecondition("RESERVATION_RELEASED", "the reservation was given back")
        if order_id not in self.states:
            wanted = sum(int(need.quantity.amount) for need in needs)
            if self.recalled or self.held or wanted > self.on_hand - self.reserved:
                raise FailedPrecondition("OUT_OF_STOCK", "the venue has too little")
            self.states[order_id], self.amounts[order_id] = "HELD", wanted
        self.faults.leave("reserve")

    async def hold(self, key: str, order_id: str) -> None:
        self.faults.enter("hold")
        if self._usable(order_id, "CONFIRMED"):
            self.states[order_id] = "CONFIRMED"
        self.faults.leave("hold")

    async def consume(self, key: str, order_id: str) -> None:
        self.faults.enter("consume")
        if self._usable(order_id, "CONSUMED"):
            self.states[order_id] = "CONSUMED"
            self.on_hand -= self.amounts[order_id]
        self.faults.leave("consume")

    async def release(self, key: str, order_id: str) -> None:
        self.faults.enter("release")
        if self.states.get(order_id) == "CONSUMED":
            raise FailedPrecondition("RESERVATION_CONSUMED", "the goods have left the stock")
        self.states[order_id] = "RELEASED"
        self.faults.leave("release")

    def _usable(self, order_id: str, wanted: str) -> bool:
        state = self.states.get(order_id)
        if state is None:
            raise NotFound("RESERVATION_NOT_FOUND", "the order has no reservation")
        if state == wanted:
            return False
        if state not in OPEN:
            raise FailedPrecondition(f"RESERVATION_{state}", "it was given back or consumed")
        if self.recalled:
            raise FailedPrecondition("LOT_QUARANTINED", "a lot was recalled")
        if self.held:
            raise FailedPrecondition("LOT_HELD", "a lot is held back")
        return True


@dataclass
class Charge:
    """A payment of the fake."""

    payer_id: str
    amount: Money | None
    method: str
    state: str
    refunds: dict[str, str] = field(default_factory=dict)


class FakePayments:
    """The payments service."""

    def __init__(self) -> None:
        self.charges: dict[str, Charge] = {}
        self.faults = Faults()
        self.promised_minor = 0
        """Of a refund, what an operator had promised before and the provider has not given back yet."""

    def orders_in(self, state: str) -> set[str]:
        """Orders whose payment stands like this."""
        return {order for order, charge in self.charges.items() if charge.state == state}

    async def authorize(
        self, key: str, order_id: str, payer_id: str, amount: Money, payment_method: str
    ) -> None:
        self.faults.enter("authorize")
        if not payment_method.startswith("pm_"):
            raise InvalidArgument("PAYMENT_METHOD_INVALID", "not one of this provider")
        charge = self.charges.get(order_id)
        if charge is None:
            refused = amount.minor == DECLINED_MINOR or payment_method == "pm_declined"
            charge = Charge(payer_id, amount, payment_method, "DECLINED" if refused else "AUTHORIZED")
            self.charges[order_id] = charge
        if charge.state == "VOIDED":
            raise FailedPrecondition("PAYMENT_VOIDED", "the payment of this order was voided")
        if (charge.payer_id, charge.amount, charge.method) != (payer_id, amount, payment_method):
            raise AlreadyExists("REQUEST_ID_REUSED", "the order has another payment already")
        if charge.state == "DECLINED":
            raise FailedPrecondition("PAYMENT_DECLINED", "the payment was declined")
        self.faults.leave("authorize")

    async def capture(self, key: str, order_id: str) -> None:
        self.faults.enter("capture")
        charge = self._charge(order_id)
        if charge.state == "VOIDED":
            raise FailedPrecondition("PAYMENT_VOIDED", "the payment of this order was voided")
        if charge.state == "DECLINED":
            raise FailedPrecondition("PAYMENT_NOT_AUTHORIZED", "the payment is not authorized")
        if charge.state == "AUTHORIZED":
            charge.state = "CAPTURED"
        self.faults.leave("capture")

    async def void(self, key: str, order_id: str) -> None:
        self.faults.enter("void")
        charge = self.charges.setdefault(order_id, Charge("", None, "", "VOIDED"))
        if charge.state in ("CAPTURED", "REFUNDED"):
            raise FailedPrecondition("PAYMENT_CAPTURED", "a captured payment can only be refunded")
        if charge.state == "AUTHORIZED":
            charge.state = "VOIDED"
        self.faults.leave("void")

    async def refund(self, key: str, order_id: str, reason: str) -> Money:
        self.faults.enter("refund")
        charge = self._charge(order_id)
        if charge.refunds.setdefault(key, reason) != reason:
            raise AlreadyExists("REQUEST_ID_REUSED", "used for another refund")
        if len(charge.refunds) > 1 and next(iter(charge.refunds)) != key:
            del charge.refunds[key]
            raise FailedPrecondition("REFUND_EXCEEDS_CAPTURE", "nothing is left")
        if charge.state not in ("CAPTURED", "REFUNDED"):
            del charge.refunds[key]
            raise FailedPrecondition("PAYMENT_NOT_CAPTURED", "only a captured payment can be refunded")
        charge.state = "REFUNDED"
        self.faults.leave("refund")
        assert charge.amount is not None
        return Money(charge.amount.minor - self.promised_minor, charge.amount.currency)

    def _charge(self, order_id: str) -> Charge:
        if order_id not in self.charges:
            raise NotFound("PAYMENT_NOT_FOUND", "the order has no payment")
        return self.charges[order_id]
