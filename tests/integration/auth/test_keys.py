"""Signing keys: rotation with overlap, sealed private halves, service tokens."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from chassis.errors import Unauthenticated
from greenledger.auth.v1 import auth_pb2 as pb
from services.auth.domain.roles import MEMBER_SCOPES
from tests.integration.auth.conftest import CONTEXT, Auth, key_id
from tests.integration.auth.process import ACCOUNTS, write_secrets

LEAD = timedelta(seconds=15)


async def rotate(auth: Auth) -> str:
    key = await auth.rpc.RotateSigningKey(pb.RotateSigningKeyRequest(), CONTEXT)
    assert key.create_time.ToDatetime() == auth.clock.now().replace(tzinfo=None)
    return str(key.kid)


async def service_token(auth: Auth, account: str, secret: str) -> pb.ServiceToken:
    return await auth.rpc.IssueServiceToken(
        pb.IssueServiceTokenRequest(account=account, secret=secret), CONTEXT
    )


async def test_there_is_one_key_after_the_start_also_of_many_replicas(auth: Auth):
    before = await auth.key_ids()
    await asyncio.gather(*(auth.replica().start() for _ in range(4)))
    assert await auth.key_ids() == before
    assert len(before) == 1


async def test_a_new_key_is_published_before_it_signs(auth: Auth):
    await auth.person()
    (old,) = await auth.key_ids()
    new = await rotate(auth)
    assert await auth.key_ids() == [new, old]
    assert key_id((await auth.login()).access_token) == old
    auth.clock.advance(LEAD)
    assert key_id((await auth.login()).access_token) == new


async def test_tokens_of_the_old_key_verify_until_the_last_has_expired(auth: Auth):
    (old,) = await auth.key_ids()
    await rotate(auth)
    auth.clock.advance(LEAD - timedelta(seconds=1))
    token = (await service_token(auth, "users", ACCOUNTS["users"])).access_token
    assert key_id(token) == old
    auth.clock.advance(timedelta(hours=1) - timedelta(seconds=1))
    assert (await auth.verify(token)).subject == "users"
    auth.clock.advance(timedelta(seconds=60))
    assert old not in await auth.key_ids()
    await auth.housekeeping()
    assert await auth.database.fetchval("SELECT count(*) FROM signing_key") == 1


async def test_keys_can_be_rotated_again_while_the_last_rotation_is_under_way(auth: Auth):
    await auth.person()
    (first,) = await auth.key_ids()
    second = await rotate(auth)
    auth.clock.advance(timedelta(seconds=5))
    third = await rotate(auth)
    assert set(await auth.key_ids()) == {first, second, third}
    seen = []
    for _ in range(5):
        token = (await auth.login()).access_token
        await auth.verify(token)
        seen.append(key_id(token))
        auth.clock.advance(timedelta(seconds=5))
    assert seen == [first, first, second, third, third]


async def test_a_replica_learns_of_a_rotation_before_the_new_key_signs(auth: Auth):
    other = await auth.replica().start()
    (old,) = await other.key_ids()
    new = await rotate(auth)
    auth.clock.advance(timedelta(seconds=2))
    assert await other.key_ids() == [new, old]


async def test_a_key_is_replaced_when_it_has_grown_old(auth: Auth):
    await auth.housekeeping()
    (old,) = await auth.key_ids()
    auth.clock.advance(timedelta(days=30))
    await auth.housekeeping()
    new, second = await auth.key_ids()
    assert second == old != new


async def test_the_private_half_is_sealed_and_the_sealing_key_is_for_its_owner_only(auth: Auth):
    sealed = await auth.database.fetchval("SELECT sealed_private FROM signing_key")
    assert b"\x30\x82" not in sealed[:16]  # no DER header
    path = auth.secrets / "signing-keys.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(path.read_text())) == 32
    assert [p.name for p in auth.secrets.iterdir() if p.name.startswith(".")] == []


async def test_with_another_sealing_key_new_tokens_are_signed_by_a_new_key_and_old_ones_verify(
    auth: Auth, tmp_path_factory: pytest.TempPathFactory
):
    await auth.person()
    token = (await auth.login()).access_token
    folder: Path = write_secrets(tmp_path_factory.mktemp("other"))
    moved = await auth.replica(secrets=folder).start()
    assert (await moved.verify(token)).kind == "user"
    fresh = (await moved.login()).access_token
    assert key_id(fresh) != key_id(token)
    await moved.verify(fresh)


async def test_a_service_gets_a_token_for_an_hour_with_its_permissions(auth: Auth):
    issued = await service_token(auth, "users", ACCOUNTS["users"])
    principal = await auth.verify(issued.access_token)
    assert (principal.subject, principal.kind, principal.roles) == ("users", "service", frozenset())
    assert principal.permissions == {"auth.credentials.write", "notifications.send"} | MEMBER_SCOPES
    life = issued.expire_time.ToDatetime() - auth.clock.now().replace(tzinfo=None)
    assert life == timedelta(hours=1)


async def test_a_service_that_calls_no_other_may_be_found_and_no_more(auth: Auth):
    issued = await service_token(auth, "payments", ACCOUNTS["payments"])
    assert (await auth.verify(issued.access_token)).permissions == MEMBER_SCOPES


@pytest.mark.parametrize(
    ("account", "secret"),
    [("users", "wrong"), ("users", ACCOUNTS["orders"]), ("nobody", "wrong"), ("users", "sécret")],
)
async def test_a_wrong_service_secret_is_refused(auth: Auth, account, secret):
    with pytest.raises(Unauthenticated) as error:
        await service_token(auth, account, secret)
    assert error.value.reason == "CREDENTIALS_INVALID"


async def test_an_account_that_is_added_later_is_found(auth: Auth):
    with pytest.raises(Unauthenticated):
        await service_token(auth, "trace", "trace-secret")
    path = auth.secrets / "service-accounts.json"
    path.write_text(json.dumps({**ACCOUNTS, "trace": "trace-secret"}))
    assert (await auth.verify((await service_token(auth, "trace", "trace-secret")).access_token)).subject
