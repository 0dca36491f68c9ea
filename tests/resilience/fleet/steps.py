"""What several of these tests do, and what they expect of registrations and transfers."""

from typing import Any

from fleet.client import Credentials
from fleet.testing.live import LiveFleet
from greenledger.auth.v1 import auth_pb2
from greenledger.inventory.v1 import inventory_pb2
from greenledger.payments.v1 import payments_pb2
from greenledger.users.v1 import users_pb2
from tests.resilience.fleet import invariants
from tests.resilience.fleet.crashes import killed_by_its_crash_point
from tests.resilience.fleet.market import Market, new_id


async def order_killed_at(market: Market, point: str, menu_item_id: str = "") -> str:
    """Order something, have orders die at a point and leave it dead; the order's request."""
    request_id = new_id()
    await market.live.restart("orders", point)
    await killed_by_its_crash_point(market.live, "orders", market.order(request_id, menu_item_id))
    return request_id


async def release(live: LiveFleet, order_id: str) -> None:
    """Give an order's stock back behind its saga's back."""
    inventory, token = live.rpc("inventory"), await live.token_of("orders")
    request = inventory_pb2.ReleaseReservationRequest(request_id=new_id(), order_id=order_id)
    await inventory.call(inventory.inventory.ReleaseReservation, request, token)


async def void(live: LiveFleet, order_id: str) -> None:
    """Let an order's money go behind its saga's back."""
    payments, token = live.rpc("payments"), await live.token_of("orders")
    request = payments_pb2.VoidPaymentRequest(request_id=new_id(), order_id=order_id)
    await payments.call(payments.payments.VoidPayment, request, token)


async def refunded_once(live: LiveFleet, order_id: str) -> None:
    """The guest was told of one refund; how much it was, the books show."""
    refunds = "SELECT count(*) FROM outbox WHERE topic = 'payment.refunded' AND key = $1"
    assert await live.fetchval("payments", refunds, order_id) == 1


async def create_user(live: LiveFleet, request: users_pb2.CreateUserRequest) -> users_pb2.User:
    """One call."""
    users = live.rpc("users")
    return await users.call(users.users.CreateUser, request)


async def user_id_of(live: LiveFleet, email: str) -> Any:
    """Whose address it is, None for nobody's."""
    return await live.fetchval("users", "SELECT user_id::text FROM person WHERE email = $1", email)


async def revoke(live: LiveFleet, user_id: str) -> None:
    """Take somebody's credentials away, also those to come."""
    auth, token = live.rpc("auth"), await live.token_of("users")
    request = auth_pb2.RevokeCredentialsRequest(request_id=new_id(), user_id=user_id)
    await auth.call(auth.auth.RevokeCredentials, request, token)


async def registered(market: Market, request: users_pb2.CreateUserRequest) -> None:
    """Ask again until it is done; then the login works, and the same request is the same person."""
    created = [await market.patiently(lambda: create_user(market.live, request)) for _ in range(2)]
    session = await market.log_in(Credentials(request.email, request.password))
    for user in created:
        assert not isinstance(user, str), user
        assert (user.state, user.user_id) == (users_pb2.USER_STATE_ACTIVE, session.user_id)
    await invariants.check(market.live)


async def transferred(market: Market, lot_id: str, request_id: str) -> None:
    """Ask again until the venue's owner has the lot; asked once more, nothing moves."""
    owner = market.owner.user_id
    for _ in range(2):
        lot = await market.patiently(lambda: market.transfer(lot_id, owner, request_id))
        assert not isinstance(lot, str), lot
        assert (lot.owner_id, lot.transfer_count) == (owner, 1)
    await invariants.check(market.live)
