"""Caches of keys, of verified tokens and of the service's own token."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.clock import FixedClock
from chassis.context import RequestContext, current, use
from chassis.errors import Unauthenticated
from chassis.testing import eventually
from interceptors.jwks import JwksSource
from interceptors.service_token import Token, TokenSource
from interceptors.tokens import TokenVerifier
from tests.integration.interceptors.harness import Issuer


def clock() -> FixedClock:
    return FixedClock(datetime.now(UTC))


async def test_unknown_key_ids_make_one_fetch_per_interval() -> None:
    issuer, time = Issuer(), clock()
    keys = JwksSource(issuer.fetch, time, least_interval=timedelta(seconds=5))
    for n in range(50):
        assert await keys.key(f"forged-{n}") is None
    assert issuer.fetches == 1
    time.advance(timedelta(seconds=6))
    await keys.key("forged")
    assert issuer.fetches == 2


async def test_concurrent_first_uses_share_one_fetch() -> None:
    issuer = Issuer()
    keys = JwksSource(issuer.fetch, clock())
    found = await asyncio.gather(*(keys.key("key-1") for _ in range(20)))
    assert all(key is not None for key in found)
    assert issuer.fetches == 1


async def test_a_rotated_key_is_found_by_its_new_id() -> None:
    issuer, time = Issuer(), clock()
    verifier = TokenVerifier(JwksSource(issuer.fetch, time), time)
    await verifier.verify(issuer.token())
    rotated = Issuer("key-2")
    issuer.key, issuer.key_id = rotated.key, rotated.key_id
    time.advance(timedelta(seconds=6))
    principal = await verifier.verify(issuer.token(sub="user-2"))
    assert principal.subject == "user-2"


async def test_tokens_of_a_withdrawn_key_are_refused_although_they_were_verified_before() -> None:
    issuer, time = Issuer(), clock()
    verifier = TokenVerifier(JwksSource(issuer.fetch, time, refresh=timedelta(minutes=5)), time)
    token = issuer.token()
    await verifier.verify(token)
    issuer.key_id = "key-2"
    time.advance(timedelta(minutes=6))
    await verifier.verify(token)  # still the old keys; starts the fetch in the background
    await eventually(lambda: verifier.remembered(token) is None)
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_known_keys_stay_in_use_when_the_issuer_is_away() -> None:
    issuer, time, away = Issuer(), clock(), False

    async def fetch() -> Mapping[str, Any]:
        if away:
            raise ConnectionRefusedError
        return issuer.key_set

    keys = JwksSource(fetch, time, refresh=timedelta(minutes=5))
    assert await keys.key("key-1") is not None
    away = True
    time.advance(timedelta(hours=1))
    assert await keys.key("key-1") is not None
    assert await keys.key("key-2") is None


async def test_keys_of_other_kinds_and_short_keys_are_left_out() -> None:
    issuer = Issuer()
    good = issuer.key_set["keys"][0]
    odd = [
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0"},
        {**good, "kid": "b", "use": "enc"},
        {**good, "kid": "c", "alg": "RS512"},
        {**good, "kid": "d", "n": good["n"][:100]},
        {name: value for name, value in good.items() if name != "kid"},
    ]

    async def fetch() -> Mapping[str, Any]:
        return {"keys": [*odd, good]}

    keys = JwksSource(fetch, clock(), least_interval=timedelta(0))
    assert await keys.key("key-1") is not None
    for key_id in "abcd":
        assert await keys.key(key_id) is None


async def test_a_remembered_token_is_forgotten_when_it_expires() -> None:
    issuer, time = Issuer(), clock()
    verifier = TokenVerifier(JwksSource(issuer.fetch, time), time, leeway=timedelta(0))
    token = issuer.token()
    await verifier.verify(token)
    assert verifier.remembered(token) is not None
    time.advance(timedelta(seconds=601))
    assert verifier.remembered(token) is None
    with pytest.raises(Unauthenticated) as caught:
        await verifier.verify(token)
    assert caught.value.reason == "TOKEN_EXPIRED"


async def test_the_memory_of_verified_tokens_is_bounded() -> None:
    issuer, time = Issuer(), clock()
    verifier = TokenVerifier(JwksSource(issuer.fetch, time), time, most_remembered=3)
    tokens = [issuer.token(jti=str(n)) for n in range(5)]
    for token in tokens:
        await verifier.verify(token)
    assert [verifier.remembered(token) is not None for token in tokens] == [False, False, True, True, True]


class Tokens:
    """Gives out tokens of one hour."""

    def __init__(self, time: FixedClock) -> None:
        self.time = time
        self.given = 0
        self.away = False
        self.context: RequestContext | None = None

    async def fetch(self) -> Token:
        self.context = current()
        await asyncio.sleep(0)
        if self.away:
            raise ConnectionRefusedError
        self.given += 1
        return Token(f"token-{self.given}", self.time.now() + timedelta(hours=1))


async def test_concurrent_callers_share_one_token_fetch() -> None:
    time = clock()
    tokens = Tokens(time)
    source = TokenSource(tokens.fetch, time)
    assert set(await asyncio.gather(*(source.get() for _ in range(20)))) == {"token-1"}
    assert tokens.given == 1


async def test_a_token_is_refreshed_ahead_of_expiry_while_the_old_one_is_used() -> None:
    time = clock()
    tokens = Tokens(time)
    source = TokenSource(tokens.fetch, time, ahead=0.2)
    await source.get()
    time.advance(timedelta(minutes=50))
    assert await source.get() == "token-1"
    await eventually(lambda: tokens.given == 2)
    assert await source.get() == "token-2"


async def test_a_valid_token_is_used_when_no_new_one_can_be_had() -> None:
    time = clock()
    tokens = Tokens(time)
    source = TokenSource(tokens.fetch, time)
    await source.get()
    tokens.away = True
    time.advance(timedelta(minutes=59))
    assert await source.get() == "token-1"
    await asyncio.sleep(0)
    time.advance(timedelta(minutes=2))
    with pytest.raises(ConnectionRefusedError):
        await source.get()


async def test_a_refused_token_is_replaced_before_the_next_call_but_not_in_a_storm() -> None:
    time = clock()
    tokens = Tokens(time)
    source = TokenSource(tokens.fetch, time)
    await source.get()
    source.refused("token-1")
    assert await source.get() == "token-1"  # too soon after the last fetch
    time.advance(timedelta(seconds=6))
    source.refused("token-0")  # one that is not ours any more
    assert await source.get() == "token-1"
    source.refused("token-1")
    assert await source.get() == "token-2"


async def test_the_fetch_does_not_inherit_the_deadline_of_the_caller_who_began_it() -> None:
    time = clock()
    tokens = Tokens(time)
    with use(RequestContext(request_id="r", deadline=0.001)):
        await TokenSource(tokens.fetch, time).get()
    assert tokens.context == RequestContext()


async def test_a_caller_who_gives_up_does_not_take_the_fetch_away_from_others() -> None:
    time, release = clock(), asyncio.Event()
    tokens = Tokens(time)

    async def slow() -> Token:
        await release.wait()
        return await tokens.fetch()

    source = TokenSource(slow, time)
    first, second = asyncio.create_task(source.get()), asyncio.create_task(source.get())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    release.set()
    assert await second == "token-1"
