"""Refresh tokens: each works once, and the second time ends the login."""

import asyncio
from datetime import timedelta

import pytest

from chassis.errors import Unauthenticated
from greenledger.auth.v1 import auth_pb2 as pb
from greenledger.auth.v1.events_pb2 import TokenReuseDetected
from tests.integration.auth.conftest import CONTEXT, Auth
from tests.integration.auth.process import events


async def refused(auth: Auth, token: str) -> str:
    with pytest.raises(Unauthenticated) as error:
        await auth.refresh(token)
    return error.value.reason


async def reuses(auth: Auth) -> list[TokenReuseDetected]:
    found = []
    for event in await events(auth.database, "auth.token-reuse-detected"):
        payload = TokenReuseDetected()
        assert event.payload.Unpack(payload)
        found.append(payload)
    return found


async def test_a_refresh_gives_new_tokens_of_the_same_person(auth: Auth):
    user_id = await auth.person()
    first = await auth.login()
    second = await auth.refresh(first.refresh_token)
    assert second.user_id == user_id
    assert second.refresh_token != first.refresh_token
    assert (await auth.verify(second.access_token)).subject == user_id
    assert second.access_token != first.access_token


async def test_a_used_token_ends_the_whole_login_and_is_told(auth: Auth):
    user_id = await auth.person()
    first = await auth.login()
    second = await auth.refresh(first.refresh_token)
    assert await refused(auth, first.refresh_token) == "REFRESH_TOKEN_REUSED"
    assert await refused(auth, second.refresh_token) == "REFRESH_TOKEN_INVALID"
    (told,) = await reuses(auth)
    assert told.user_id == user_id


async def test_another_login_of_the_same_person_goes_on(auth: Auth):
    await auth.person()
    stolen, other = await auth.login(), await auth.login()
    await auth.refresh(stolen.refresh_token)
    await refused(auth, stolen.refresh_token)
    await auth.refresh(other.refresh_token)


async def test_of_two_refreshes_at_once_one_wins_and_the_login_ends(auth: Auth):
    await auth.person()
    for _ in range(10):
        token = (await auth.login()).refresh_token
        outcomes = await asyncio.gather(
            auth.refresh(token), auth.replica().refresh(token), return_exceptions=True
        )
        (won,) = [outcome for outcome in outcomes if isinstance(outcome, pb.TokenPair)]
        (lost,) = [outcome for outcome in outcomes if isinstance(outcome, Unauthenticated)]
        assert lost.reason == "REFRESH_TOKEN_REUSED"
        assert await refused(auth, won.refresh_token) == "REFRESH_TOKEN_INVALID"
    assert len(await reuses(auth)) == 10


async def test_many_who_reuse_a_token_are_told_of_once(auth: Auth):
    await auth.person()
    token = (await auth.login()).refresh_token
    await auth.refresh(token)
    outcomes = await asyncio.gather(*(auth.refresh(token) for _ in range(8)), return_exceptions=True)
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Unauthenticated)} == {
        "REFRESH_TOKEN_REUSED"
    }
    assert len(await reuses(auth)) == 1


async def test_a_token_expires_without_use_and_a_login_expires_with_it(auth: Auth):
    await auth.person()
    unused = await auth.login()
    auth.clock.advance(timedelta(days=30))
    assert await refused(auth, unused.refresh_token) == "REFRESH_TOKEN_INVALID"
    kept = await auth.login()
    for _ in range(3):
        auth.clock.advance(timedelta(days=29))
        kept = await auth.refresh(kept.refresh_token)
    auth.clock.advance(timedelta(days=3))
    assert await refused(auth, kept.refresh_token) == "REFRESH_TOKEN_INVALID"
    assert await reuses(auth) == []


async def test_a_logout_ends_the_login_and_answers_the_same_for_an_unknown_token(auth: Auth):
    await auth.person()
    tokens = await auth.login()
    for token in (tokens.refresh_token, tokens.refresh_token, "never issued"):
        await auth.rpc.Logout(pb.LogoutRequest(refresh_token=token), CONTEXT)
    assert await refused(auth, tokens.refresh_token) == "REFRESH_TOKEN_INVALID"


async def test_a_refresh_brings_the_roles_of_now(auth: Auth):
    user_id = await auth.person(role="guest")
    tokens = await auth.login()
    await auth.rpc.SetRoles(pb.SetRolesRequest(user_id=user_id, roles=["auditor"]), CONTEXT)
    tokens = await auth.refresh(tokens.refresh_token)
    assert (await auth.verify(tokens.access_token)).roles == {"auditor"}


async def test_no_token_or_password_is_in_the_database(auth: Auth):
    await auth.person()
    tokens = await auth.refresh((await auth.login()).refresh_token)
    rows = await auth.database.fetch("SELECT r::text AS row FROM refresh_token r")
    rows += await auth.database.fetch("SELECT a::text AS row FROM account a")
    everything = "\n".join(row["row"] for row in rows)
    assert "ada@example.org" in everything
    assert tokens.refresh_token not in everything
    assert "tomatoes" not in everything


async def test_expired_logins_are_purged_with_their_tokens(auth: Auth):
    await auth.person()
    await auth.refresh((await auth.login()).refresh_token)
    auth.clock.advance(timedelta(days=90))
    await auth.housekeeping()
    assert await auth.database.fetchval("SELECT count(*) FROM login") == 0
    assert await auth.database.fetchval("SELECT count(*) FROM refresh_token") == 0
