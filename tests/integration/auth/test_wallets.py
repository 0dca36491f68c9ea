"""Wallets: linked by a signature, signed in with, unlinked."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from chassis.context import Principal, RequestContext, use
from chassis.errors import AlreadyExists, DomainError, FailedPrecondition, NotFound, Unauthenticated
from chassis.ids import SystemIds
from greenledger.auth.v1 import auth_pb2 as pb
from greenledger.auth.v1.events_pb2 import WalletLinked, WalletUnlinked
from tests.integration.auth.conftest import CONTEXT, Auth
from tests.integration.auth.process import events
from tests.integration.auth.wallets import (
    ORIGIN,
    Wallet,
    challenge,
    link,
    malleated,
    present,
    present_link,
    sign_in,
    unlink,
    wallets_of,
)

MINE, OTHER = Wallet(1), Wallet(2)
USED = "SELECT count(*) FROM used_wallet_nonce"


async def reason_of(work: Any, kind: type[DomainError] = Unauthenticated) -> str:
    with pytest.raises(kind) as error:
        await work
    return error.value.reason


async def told(auth: Auth, topic: str, kind: type[Any]) -> list[Any]:
    found = []
    for event in await events(auth.database, topic):
        payload = kind()
        assert event.payload.Unpack(payload)
        assert MINE.address.lower()[2:].encode() not in event.SerializeToString().lower()
        found.append(payload)
    return found


async def test_a_linked_wallet_signs_in_to_its_account(auth: Auth):
    user_id = await auth.person(role="grower")
    linked = await link(auth, user_id, MINE)
    assert (linked.address, linked.chain_id) == (MINE.address, 1)
    assert linked.link_time.ToDatetime() == auth.clock.now().replace(tzinfo=None)
    tokens = await sign_in(auth, MINE)
    principal = await auth.verify(tokens.access_token)
    assert (principal.subject, principal.roles) == (user_id, {"grower"})
    assert list((await wallets_of(auth, user_id)).wallets) == [linked]
    (event,) = await told(auth, "auth.wallet-linked", WalletLinked)
    assert (event.user_id, event.wallet_id) == (user_id, linked.wallet_id)


async def test_the_refresh_tokens_of_a_wallet_obey_the_rules_of_every_login(auth: Auth):
    await link(auth, await auth.person(), MINE)
    first = await sign_in(auth, MINE)
    second = await auth.refresh(first.refresh_token)
    assert await reason_of(auth.refresh(first.refresh_token)) == "REFRESH_TOKEN_REUSED"
    assert await reason_of(auth.refresh(second.refresh_token)) == "REFRESH_TOKEN_INVALID"


async def test_a_challenge_is_the_message_that_it_says(auth: Auth):
    user_id = await auth.person()
    given = await challenge(auth, MINE, user_id)
    assert given.message.splitlines() == [
        f"{ORIGIN.removeprefix('http://')} wants you to sign in with your Ethereum account:",
        MINE.address,
        "",
        f"Link this wallet to the GreenLedger account {user_id}.",
        "",
        f"URI: {ORIGIN}",
        "Version: 1",
        "Chain ID: 1",
        f"Nonce: {given.nonce}",
        "Issued At: 2026-01-01T00:00:00Z",
        "Expiration Time: 2026-01-01T00:05:00Z",
    ]
    assert given.expire_time.ToJsonString() == "2026-01-01T00:05:00Z"


async def test_challenges_that_nobody_uses_are_stored_nowhere_and_push_nobody_out(auth: Auth):
    await link(auth, await auth.person(), MINE)
    mine = (await challenge(auth, MINE)).message
    before = await auth.database.fetchval(USED)
    nonces = {(await challenge(auth, MINE)).nonce for _ in range(100)}
    assert len(nonces) == 100
    assert await auth.database.fetchval(USED) == before
    await present(auth, mine, MINE.sign(mine))


async def test_of_fifty_sign_ins_with_one_signature_at_once_one_succeeds(auth: Auth):
    await link(auth, await auth.person(), MINE)
    message = (await challenge(auth, MINE)).message
    signature, replica = MINE.sign(message), auth.replica()
    outcomes = await asyncio.gather(
        *(present((auth, replica)[n % 2], message, signature) for n in range(50)), return_exceptions=True
    )
    assert sum(isinstance(outcome, pb.TokenPair) for outcome in outcomes) == 1
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unauthenticated)]
    assert reasons == ["WALLET_NONCE_USED"] * 49
    assert await auth.database.fetchval("SELECT count(*) FROM login") == 1


async def test_of_fifty_links_with_one_signature_at_once_one_succeeds(auth: Auth):
    user_id = await auth.person()
    message = (await challenge(auth, MINE, user_id)).message
    signature = MINE.sign(message)
    outcomes = await asyncio.gather(
        *(present_link(auth, user_id, message, signature) for _ in range(50)), return_exceptions=True
    )
    assert sum(isinstance(outcome, pb.Wallet) for outcome in outcomes) == 1
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Unauthenticated)]
    assert reasons == ["WALLET_NONCE_USED"] * 49
    assert len(await told(auth, "auth.wallet-linked", WalletLinked)) == 1


async def test_a_wallet_belongs_to_one_account(auth: Auth):
    ada, ben = await auth.person("ada@example.org"), await auth.person("ben@example.org")
    await link(auth, ada, MINE)
    assert await reason_of(link(auth, ben, MINE), AlreadyExists) == "WALLET_TAKEN"
    assert (await sign_in(auth, MINE)).user_id == ada
    assert list((await wallets_of(auth, ben)).wallets) == []


async def test_of_many_accounts_that_link_one_wallet_at_once_one_gets_it(auth: Auth):
    people = [await auth.person(f"person{n}@example.org") for n in range(6)]
    outcomes = await asyncio.gather(*(link(auth, person, MINE) for person in people), return_exceptions=True)
    assert sum(isinstance(outcome, pb.Wallet) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 5


async def test_a_wallet_that_is_linked_again_stays_the_same_wallet(auth: Auth):
    user_id = await auth.person()
    assert await link(auth, user_id, MINE) == await link(auth, user_id, MINE)
    assert len(await told(auth, "auth.wallet-linked", WalletLinked)) == 1


async def test_an_account_has_ten_wallets_at_most_also_when_they_come_at_once(auth: Auth):
    user_id = await auth.person()
    outcomes = await asyncio.gather(
        *(link(auth, user_id, Wallet(number)) for number in range(1, 14)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, FailedPrecondition)]
    assert [error.reason for error in refused] == ["WALLET_LIMIT_REACHED"] * 3
    first = await wallets_of(auth, user_id, page_size=7)
    rest = await wallets_of(auth, user_id, page_size=7, page_token=first.next_page_token)
    assert (len(first.wallets), len(rest.wallets), rest.next_page_token) == (7, 3, "")
    assert len({wallet.address for wallet in [*first.wallets, *rest.wallets]}) == 10


async def test_a_challenge_serves_only_the_purpose_and_the_account_it_was_made_for(auth: Auth):
    ada, ben = await auth.person("ada@example.org"), await auth.person("ben@example.org")
    await link(auth, ada, MINE)
    to_sign_in, to_link = (await challenge(auth, MINE)).message, (await challenge(auth, OTHER, ada)).message
    for work in (
        present_link(auth, ada, to_sign_in, MINE.sign(to_sign_in)),
        present_link(auth, ben, to_link, OTHER.sign(to_link)),
        present(auth, to_link, OTHER.sign(to_link)),
    ):
        assert await reason_of(work) == "WALLET_NONCE_INVALID"
    await present_link(auth, ada, to_link, OTHER.sign(to_link))


async def test_a_challenge_for_one_wallet_is_none_for_another(auth: Auth):
    user_id = await auth.person()
    await link(auth, user_id, OTHER)
    message = (await challenge(auth, MINE)).message.replace(MINE.address, OTHER.address)
    assert await reason_of(present(auth, message, OTHER.sign(message))) == "WALLET_NONCE_INVALID"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("127.0.0.1:8080 wants", "evil.example wants", "WALLET_ORIGIN_NOT_ALLOWED"),
        ("127.0.0.1:8080 wants", "https://127.0.0.1:8080 wants", "WALLET_ORIGIN_NOT_ALLOWED"),
        (f"URI: {ORIGIN}", "URI: http://evil.example", "WALLET_ORIGIN_NOT_ALLOWED"),
        ("Chain ID: 1", "Chain ID: 5", "WALLET_CHAIN_NOT_ALLOWED"),
        ("Sign in to GreenLedger.", "I buy everything.", "WALLET_STATEMENT_MISMATCH"),
        ("Sign in to GreenLedger.\n", "", "WALLET_STATEMENT_MISMATCH"),
        ("Version: 1", "Version: 2", "WALLET_MESSAGE_MALFORMED"),
        ("2026-01-01T00:05:00Z", "2026-01-01T00:00:00Z", "WALLET_MESSAGE_EXPIRED"),
        ("2026-01-01T00:05:00Z", "2026-01-01T00:05:00Z\nNot Before: 2026-01-01T00:02:00Z",
         "WALLET_MESSAGE_NOT_YET_VALID"),
        ("Issued At: 2026-01-01T00:00", "Issued At: 2026-01-01T00:02", "WALLET_MESSAGE_NOT_YET_VALID"),
        ("Issued At: 2026", "Issued At: 2025", "WALLET_MESSAGE_EXPIRED"),
        ("Nonce: ", "Nonce: 0", "WALLET_NONCE_INVALID"),
    ],
)  # fmt: skip
async def test_a_valid_signature_does_not_make_up_for_what_the_message_says(auth: Auth, old, new, reason):
    await link(auth, await auth.person(), MINE)
    message = (await challenge(auth, MINE)).message
    altered = message.replace(old, new)
    assert altered != message
    assert await reason_of(present(auth, altered, MINE.sign(altered)), DomainError) == reason
    assert await auth.database.fetchval("SELECT count(*) FROM login") == 0


async def test_a_message_that_the_app_wrote_around_the_nonce_is_as_good(auth: Auth):
    await link(auth, await auth.person(), MINE)
    given = await challenge(auth, MINE)
    own = given.message.partition("\nExpiration Time")[0].replace("00:00:00Z", "00:00:30.5Z")
    own = own.replace("127.0.0.1:8080 wants", "http://127.0.0.1:8080 wants") + "\nRequest ID: app-7"
    await present(auth, own, MINE.sign(own))


async def test_a_bad_signature_is_refused_and_does_not_use_up_the_challenge(auth: Auth):
    await link(auth, await auth.person(), MINE)
    message = (await challenge(auth, MINE)).message
    good = MINE.sign(message)
    for bad in (
        OTHER.sign(message),
        MINE.sign(message + " "),
        malleated(good),
        good + "00",
        good[:-2],
        good[:-2] + "1d",
        "0x" + "00" * 65,
        "0x" + "11" * 32 + "22" * 32 + "1b",
    ):
        assert await reason_of(present(auth, message, bad)) == "WALLET_SIGNATURE_INVALID"
    await present(auth, message, good[:-2] + {"1b": "00", "1c": "01"}[good[-2:]])


async def test_a_challenge_expires_whatever_the_message_says(auth: Auth):
    await link(auth, await auth.person(), MINE)
    message = (await challenge(auth, MINE)).message
    later = message.partition("\nExpiration Time")[0].replace(
        "Issued At: 2026-01-01T00:00", "Issued At: 2026-01-01T00:05"
    )
    auth.clock.advance(timedelta(minutes=5))
    for text in (message, later):
        assert await reason_of(present(auth, text, MINE.sign(text))) == "WALLET_MESSAGE_EXPIRED"


async def test_a_wallet_that_is_nobodys_signs_in_nobody_and_its_challenge_is_used_up(auth: Auth):
    user_id = await auth.person()
    message = (await challenge(auth, MINE)).message
    signature = MINE.sign(message)
    assert await reason_of(present(auth, message, signature)) == "WALLET_NOT_LINKED"
    await link(auth, user_id, MINE)
    assert await reason_of(present(auth, message, signature)) == "WALLET_NONCE_USED"


async def test_an_unlinked_wallet_signs_in_no_more_and_the_logins_it_began_end(auth: Auth):
    user_id = await auth.person()
    linked = await link(auth, user_id, MINE)
    by_wallet, by_password = await sign_in(auth, MINE), await auth.login()
    by_wallet = await auth.refresh(by_wallet.refresh_token)
    await unlink(auth, user_id, linked.wallet_id)
    assert await reason_of(auth.refresh(by_wallet.refresh_token)) == "REFRESH_TOKEN_INVALID"
    await auth.refresh(by_password.refresh_token)
    assert await reason_of(sign_in(auth, MINE)) == "WALLET_NOT_LINKED"
    (event,) = await told(auth, "auth.wallet-unlinked", WalletUnlinked)
    assert (event.user_id, event.wallet_id) == (user_id, linked.wallet_id)
    await link(auth, await auth.person("ben@example.org"), MINE)


async def test_nobody_unlinks_somebody_elses_wallet(auth: Auth):
    ada, ben = await auth.person("ada@example.org"), await auth.person("ben@example.org")
    linked = await link(auth, ada, MINE)
    assert await reason_of(unlink(auth, ben, linked.wallet_id), NotFound) == "WALLET_NOT_LINKED"
    await sign_in(auth, MINE)


async def test_a_wallet_is_not_unlinked_where_it_is_the_last_means_of_signing_in(auth: Auth):
    user_id = await auth.person()
    first, second = await link(auth, user_id, MINE), await link(auth, user_id, OTHER)
    await auth.database.execute("UPDATE account SET password_hash = '' WHERE user_id = $1", user_id)
    await unlink(auth, user_id, first.wallet_id)
    assert (
        await reason_of(unlink(auth, user_id, second.wallet_id), FailedPrecondition) == "LAST_SIGN_IN_MEANS"
    )
    await sign_in(auth, OTHER)


async def test_who_closes_the_account_takes_its_wallets_along(auth: Auth):
    user_id = await auth.person()
    await link(auth, user_id, MINE)
    tokens = await sign_in(auth, MINE)
    waiting = (await challenge(auth, OTHER, user_id)).message
    await auth.rpc.RevokeCredentials(pb.RevokeCredentialsRequest(user_id=user_id), CONTEXT)
    assert await auth.database.fetchval("SELECT count(*) FROM wallet") == 0
    assert await reason_of(sign_in(auth, MINE)) == "WALLET_NOT_LINKED"
    assert await reason_of(auth.refresh(tokens.refresh_token)) == "REFRESH_TOKEN_INVALID"
    late = present_link(auth, user_id, waiting, OTHER.sign(waiting))
    assert await reason_of(late, NotFound) == "USER_UNKNOWN"


async def test_a_link_while_the_account_is_closed_leaves_no_wallet_behind(auth: Auth):
    for number in range(1, 6):
        user_id = await auth.person(f"person{number}@example.org")
        revocation = auth.rpc.RevokeCredentials(pb.RevokeCredentialsRequest(user_id=user_id), CONTEXT)
        await asyncio.gather(link(auth, user_id, Wallet(number)), revocation, return_exceptions=True)
    assert await auth.database.fetchval("SELECT count(*) FROM wallet") == 0


async def test_services_have_no_wallets(auth: Auth):
    with use(RequestContext(principal=Principal("orders", "service"))):
        request = pb.IssueWalletLinkChallengeRequest(address=MINE.address)
        assert (
            await reason_of(auth.rpc.IssueWalletLinkChallenge(request, CONTEXT), NotFound) == "USER_UNKNOWN"
        )
        assert (
            await reason_of(auth.rpc.ListWallets(pb.ListWalletsRequest(), CONTEXT), NotFound)
            == "USER_UNKNOWN"
        )


async def test_used_nonces_are_forgotten_once_no_clock_can_take_them_any_more(auth: Auth):
    await link(auth, await auth.person(), MINE)
    await sign_in(auth, MINE)
    auth.clock.advance(timedelta(minutes=14))
    await auth.housekeeping()
    assert await auth.database.fetchval(USED) == 2
    auth.clock.advance(timedelta(minutes=1))
    await auth.housekeeping()
    assert await auth.database.fetchval(USED) == 0


async def test_a_secret_of_another_fleet_makes_no_challenge_for_this_one(auth: Auth, tmp_path):
    (folder := tmp_path / "other").mkdir()
    for name in ("service-accounts.json", "operator.json"):
        (folder / name).write_text((auth.secrets / name).read_text())
    message = (await challenge(auth.replica(secrets=folder), MINE)).message
    assert await reason_of(present(auth, message, MINE.sign(message))) == "WALLET_NONCE_INVALID"


async def test_a_person_whom_auth_does_not_know_links_nothing(auth: Auth):
    assert await reason_of(link(auth, SystemIds().uuid7(), MINE), NotFound) == "USER_UNKNOWN"
