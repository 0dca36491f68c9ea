"""Logging in: tokens, throttling, hashes that grow old."""

import asyncio
from datetime import timedelta

import pytest

from chassis.errors import InvalidArgument, ResourceExhausted, Unauthenticated
from services.auth.adapters.settings import AuthSettings
from services.auth.domain.roles import ROLES
from tests.integration.auth.conftest import PASSWORD, Auth
from tests.integration.auth.process import OPERATOR


async def fail(auth: Auth, email: str = "ada@example.org", times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(Unauthenticated) as error:
            await auth.login(email, "not the password")
        assert error.value.reason == "CREDENTIALS_INVALID"


async def test_a_login_gives_a_token_with_the_roles_and_permissions_of_the_person(auth: Auth):
    user_id = await auth.person(role="grower")
    tokens = await auth.login("ADA@example.org")
    principal = await auth.verify(tokens.access_token)
    assert (principal.subject, principal.kind) == (user_id, "user")
    assert principal.roles == {"grower"}
    assert principal.permissions == ROLES["grower"].permissions
    assert (tokens.user_id, tokens.token_type, tokens.expires_in.seconds) == (user_id, "Bearer", 900)


async def test_an_access_token_lives_a_quarter_of_an_hour(auth: Auth):
    await auth.person()
    token = (await auth.login()).access_token
    auth.clock.advance(timedelta(minutes=14, seconds=59))
    await auth.verify(token)
    auth.clock.advance(timedelta(seconds=7))  # beyond the verifier's leeway
    with pytest.raises(Unauthenticated) as error:
        await auth.verify(token)
    assert error.value.reason == "TOKEN_EXPIRED"


async def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(auth: Auth):
    await auth.person()
    answers = []
    for email in ("ada@example.org", "nobody@example.org"):
        with pytest.raises(Unauthenticated) as error:
            await auth.login(email, "not the password")
        answers.append((error.value.reason, error.value.message, error.value.metadata))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("email", ["ada@example.org", "nobody@example.org"])
async def test_repeated_failures_are_slowed_down_for_known_and_unknown_addresses_alike(auth: Auth, email):
    await auth.person()
    await fail(auth, email, times=6)
    with pytest.raises(ResourceExhausted) as error:
        await auth.login(email)
    assert error.value.reason == "LOGIN_THROTTLED"
    assert error.value.retry_after == timedelta(seconds=1)


async def test_after_the_pause_the_right_password_is_let_in_and_the_failures_are_forgotten(auth: Auth):
    await auth.person()
    await fail(auth, times=6)
    auth.clock.advance(timedelta(seconds=1))
    await auth.login()
    await fail(auth, times=6)  # none of them throttled: the count began anew


async def test_pauses_double_up_to_a_quarter_of_an_hour(auth: Auth):
    await fail(auth, times=6)
    pauses = []
    for _ in range(12):
        with pytest.raises(ResourceExhausted) as error:
            await auth.login()
        assert error.value.retry_after is not None
        pauses.append(error.value.retry_after.total_seconds())
        auth.clock.advance(error.value.retry_after)
        await fail(auth)
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 900


async def test_a_throttled_address_does_not_keep_others_out(auth: Auth):
    await auth.person("ada@example.org")
    await auth.person("ben@example.org")
    await fail(auth, "ada@example.org", times=6)
    await auth.login("ben@example.org")


async def test_guesses_made_at_once_do_not_escape_the_throttle(auth: Auth):
    await auth.person()
    guesses = [auth.login(password=f"guess number {n}") for n in range(40)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    looked_at = [error for error in outcomes if isinstance(error, Unauthenticated)]
    throttled = [error for error in outcomes if isinstance(error, ResourceExhausted)]
    assert (len(looked_at), len(throttled)) == (6, 34)


async def test_an_hour_without_failures_forgets_the_old_ones(auth: Auth):
    await fail(auth, times=6)
    auth.clock.advance(timedelta(hours=1))
    await fail(auth, times=6)


async def test_a_hash_of_older_parameters_is_renewed_by_the_next_login(auth: Auth):
    user_id = await auth.person()
    stronger = auth.replica(AuthSettings(argon2_memory_kib=16, argon2_time_cost=1))
    await stronger.login()
    stored = "SELECT password_hash FROM account WHERE user_id = $1"
    renewed = await auth.database.fetchval(stored, user_id)
    assert "m=16,t=1" in renewed
    await stronger.login()
    assert await auth.database.fetchval(stored, user_id) == renewed


async def test_another_password_ends_the_other_logins_and_keeps_the_one_that_is_named(auth: Auth):
    user_id = await auth.person()
    other, own = await auth.login(), await auth.login()
    await auth.change_password(user_id, PASSWORD, "purple aubergines 7", keep=own.refresh_token)
    await auth.refresh(own.refresh_token)
    with pytest.raises(Unauthenticated) as error:
        await auth.refresh(other.refresh_token)
    assert error.value.reason == "REFRESH_TOKEN_INVALID"
    await auth.login(password="purple aubergines 7")
    await fail(auth)


async def test_another_password_needs_the_present_one_and_must_not_be_weak(auth: Auth):
    user_id = await auth.person()
    with pytest.raises(Unauthenticated) as refused:
        await auth.change_password(user_id, "not the password", "purple aubergines 7")
    assert refused.value.reason == "CREDENTIALS_INVALID"
    with pytest.raises(InvalidArgument) as weak:
        await auth.change_password(user_id, PASSWORD, "password123")
    assert weak.value.reason == "PASSWORD_WEAK"
    await auth.login()


async def test_guessing_the_present_password_is_throttled_like_a_login(auth: Auth):
    user_id = await auth.person()
    for _ in range(6):
        with pytest.raises(Unauthenticated):
            await auth.change_password(user_id, "not the password", "purple aubergines 7")
    with pytest.raises(ResourceExhausted):
        await auth.login()


async def test_the_operator_of_the_secrets_folder_can_log_in_and_is_made_once(auth: Auth):
    tokens = await auth.login(OPERATOR["email"], OPERATOR["password"])
    assert (await auth.verify(tokens.access_token)).permissions == ROLES["operator"].permissions
    again = await auth.replica().start()
    assert (await again.login(OPERATOR["email"], OPERATOR["password"])).user_id == tokens.user_id


async def test_failures_that_no_longer_count_are_purged(auth: Auth):
    await fail(auth, times=3)
    auth.clock.advance(timedelta(hours=1))
    await auth.housekeeping()
    assert await auth.database.fetchval("SELECT count(*) FROM failed_login") == 0
