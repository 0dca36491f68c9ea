"""The key that signs tokens is replaced twice while people log in and call: nobody is refused."""

from functools import partial

import pytest
from jwt import get_unverified_header

from chassis.testing import eventually
from fleet.client import Session
from greenledger.auth.v1 import auth_pb2
from greenledger.orders.v1 import orders_pb2
from greenledger.users.v1 import users_pb2
from tests.resilience.traffic.conftest import Steered
from tests.resilience.traffic.load import changes, reads, under_load

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]


async def test_keys_are_rotated_twice_without_a_refused_call(steered: Steered) -> None:
    live, market, edge = steered.live, steered.market, steered.edge
    await steered.known(*(entry.name for entry in live.layout.instances))
    guest = await market.register("guest")
    signed_by: list[str] = []

    async def log_in_and_call() -> None:
        session = await Session.open(edge, guest)
        signed_by.append(get_unverified_header(await session.bearer())["kid"])
        await edge.call(edge.users.GetMe, users_pb2.GetMeRequest(), session)
        await edge.call(edge.orders.GetCart, orders_pb2.GetCartRequest(), session)

    kinds = {**reads(market), **changes(market), "new login (auth, users, orders)": log_in_and_call}
    async with under_load(kinds) as load:
        await load.each_again()
        for _ in range(2):
            key = await edge.call(
                edge.auth.RotateSigningKey, auth_pb2.RotateSigningKeyRequest(), steered.operator
            )
            await eventually(partial(_last_is, signed_by, key.kid), 60)
            await load.each_again()
    assert not load.failed, load.story
    assert len(set(signed_by)) == 3


def _last_is(entries: list[str], wanted: str) -> bool:
    return entries[-1] == wanted
