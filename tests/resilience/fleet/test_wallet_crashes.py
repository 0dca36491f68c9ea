"""SIGKILL of auth while it links a wallet or signs in with one: done whole, or not at all."""

from collections.abc import Awaitable

import pytest

from fleet.client import Session
from fleet.testing.live import LiveFleet
from greenledger.auth.v1 import auth_pb2
from services.auth.application.wallet_sign_in import SIGN_IN_CRASHPOINT
from services.auth.application.wallets import LINK_CRASHPOINTS
from tests.integration.auth.wallets import Wallet
from tests.resilience.fleet.crashes import killed_by_its_crash_point
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

COMMITTED = "idempotency.committed"
POINTS = [*LINK_CRASHPOINTS, "idempotency.handled", COMMITTED]


async def signed_link(live: LiveFleet, person: Session, wallet: Wallet) -> auth_pb2.LinkWalletRequest:
    """A link that auth will accept."""
    auth, request = live.rpc("auth"), auth_pb2.IssueWalletLinkChallengeRequest(address=wallet.address)
    message = (await auth.call(auth.auth.IssueWalletLinkChallenge, request, person)).message
    return auth_pb2.LinkWalletRequest(request_id=new_id(), message=message, signature=wallet.sign(message))


def link(live: LiveFleet, person: Session, request: auth_pb2.LinkWalletRequest) -> Awaitable[auth_pb2.Wallet]:
    """One call."""
    auth = live.rpc("auth")
    return auth.call(auth.auth.LinkWallet, request, person)


async def signed_sign_in(live: LiveFleet, wallet: Wallet) -> auth_pb2.SignInWithWalletRequest:
    """A sign-in that auth will accept."""
    auth, request = live.rpc("auth"), auth_pb2.IssueWalletChallengeRequest(address=wallet.address)
    message = (await auth.call(auth.auth.IssueWalletChallenge, request)).message
    return auth_pb2.SignInWithWalletRequest(message=message, signature=wallet.sign(message))


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_link_is_whole_or_nothing_and_the_same_request_completes_it(
    market: Market, live: LiveFleet, point: str
) -> None:
    wallet, person = Wallet(100 + POINTS.index(point)), market.guest
    facts = {
        "wallet": ("SELECT count(*) FROM wallet WHERE address = $1", wallet.address),
        "events": ("SELECT count(*) FROM outbox WHERE topic = $1", "auth.wallet-linked"),
        "nonces": ("SELECT count(*) FROM used_wallet_nonce WHERE digest IS DISTINCT FROM $1", b""),
    }

    async def counts() -> dict[str, int]:
        return {name: await live.fetchval("auth", *query) for name, query in facts.items()}

    before = await counts()
    request = await signed_link(live, person, wallet)
    await live.restart("auth", point)
    await killed_by_its_crash_point(live, "auth", link(live, person, request))
    added = {name: count - before[name] for name, count in (await counts()).items()}
    assert added == dict.fromkeys(facts, int(point == COMMITTED))
    await live.start_service("auth")
    linked = await link(live, person, request)
    assert (linked.address, await link(live, person, request)) == (wallet.address, linked)
    assert {name: count - before[name] for name, count in (await counts()).items()} == dict.fromkeys(facts, 1)


async def test_a_killed_sign_in_leaves_its_challenge_unused(market: Market, live: LiveFleet) -> None:
    wallet, person = Wallet(200), market.guest
    await link(live, person, await signed_link(live, person, wallet))
    request = await signed_sign_in(live, wallet)
    await live.restart("auth", SIGN_IN_CRASHPOINT)
    auth = live.rpc("auth")
    await killed_by_its_crash_point(live, "auth", auth.call(auth.auth.SignInWithWallet, request))
    await live.start_service("auth")
    auth = live.rpc("auth")
    assert (await auth.call(auth.auth.SignInWithWallet, request)).user_id == person.user_id
