"""Hashing, sealing, settings: what needs no database."""

import asyncio
import time
from pathlib import Path

import pytest

from chassis.background import Every
from chassis.settings import SettingsError
from services.auth.adapters.passwords import Argon2Passwords
from services.auth.adapters.sealing import KEY_FILE, Seal
from services.auth.adapters.secrets import ServiceAccountFile, operator_credentials
from services.auth.adapters.settings import AuthSettings
from services.auth.application.verify import Turns

CHEAP = AuthSettings(argon2_memory_kib=8, argon2_time_cost=1)


async def test_a_hash_is_argon2id_with_the_parameters_in_force():
    passwords = Argon2Passwords(AuthSettings())
    hashed = await passwords.hash("green tomatoes 42")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(hashed, "green tomatoes 42")
    assert not await passwords.verify(hashed, "green tomatoes 43")
    assert not passwords.outdated(hashed)
    assert Argon2Passwords(CHEAP).outdated(hashed)


async def test_nobodys_password_is_never_right():
    assert not await Argon2Passwords(CHEAP).verify(None, "green tomatoes 42")


async def test_a_damaged_hash_lets_nobody_in():
    assert not await Argon2Passwords(CHEAP).verify("$argon2id$nonsense", "green tomatoes 42")


async def test_one_password_in_two_forms_of_unicode_is_one():
    passwords = Argon2Passwords(CHEAP)
    assert await passwords.verify(await passwords.hash("cafe\u0301 au lait"), "caf\u00e9 au lait")


async def test_the_loop_goes_on_while_passwords_are_hashed():
    passwords = Argon2Passwords(AuthSettings(argon2_memory_kib=65536, argon2_time_cost=8))
    hashing = asyncio.create_task(passwords.hash("green tomatoes 42"))
    turns = 0
    while not hashing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10


def test_what_is_sealed_opens_under_its_name_and_key_only():
    seal = Seal(bytes(32))
    sealed = seal.close(b"secret", "name")
    assert seal.open(sealed, "name") == b"secret"
    assert b"secret" not in sealed
    assert seal.open(sealed, "another") is None
    assert Seal(bytes(31) + b"x").open(sealed, "name") is None
    assert seal.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "name") is None
    assert seal.open(b"", "name") is None
    assert seal.close(b"secret", "name") != sealed


def test_the_sealing_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path):
    first = Seal.from_folder(tmp_path)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert Seal.from_folder(tmp_path).open(first.close(b"secret", "name"), "name") == b"secret"
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33])
def test_a_damaged_sealing_key_is_a_setting_error_that_names_the_file(tmp_path: Path, text: str):
    (tmp_path / KEY_FILE).write_text(text)
    with pytest.raises(SettingsError, match=KEY_FILE):
        Seal.from_folder(tmp_path)


@pytest.mark.parametrize("text", ["no json", "[]", '{"users": 7}'])
def test_a_damaged_file_of_service_accounts_is_a_setting_error(tmp_path: Path, text: str):
    with pytest.raises(SettingsError, match="service-accounts"):
        ServiceAccountFile(tmp_path)
    (tmp_path / "service-accounts.json").write_text(text)
    with pytest.raises(SettingsError, match="service-accounts"):
        ServiceAccountFile(tmp_path)


def test_a_file_of_service_accounts_that_is_damaged_later_changes_nothing(tmp_path: Path):
    path = tmp_path / "service-accounts.json"
    path.write_text('{"users": "secret"}')
    accounts = ServiceAccountFile(tmp_path)
    path.write_text('{"users": "sec')
    assert not accounts.accepts("orders", "secret")
    assert accounts.accepts("users", "secret")
    path.unlink()
    assert not accounts.accepts("users", "other")
    assert accounts.accepts("users", "secret")


def test_a_rotated_service_secret_is_found(tmp_path: Path):
    path = tmp_path / "service-accounts.json"
    path.write_text('{"users": "old"}')
    accounts = ServiceAccountFile(tmp_path)
    path.write_text('{"users": "newer"}')
    assert accounts.accepts("users", "newer")
    assert not accounts.accepts("users", "old")


def test_the_operator_may_be_absent_but_not_half_there(tmp_path: Path):
    assert operator_credentials(tmp_path) is None
    (tmp_path / "operator.json").write_text('{"email": "o@example.org"}')
    with pytest.raises(SettingsError, match="operator"):
        operator_credentials(tmp_path)


def test_settings_come_from_the_environment_and_wrong_ones_are_named():
    given = {"GREENLEDGER_ARGON2_TIME_COST": "3", "GREENLEDGER_ACCESS_TOKEN_S": "60"}
    settings = AuthSettings.from_environment(given)
    assert settings.argon2_time_cost == 3
    assert settings.access_token.total_seconds() == 60
    assert AuthSettings.from_environment({}) == AuthSettings()
    for wrong in ("0", "-1", "many", "1.5"):
        with pytest.raises(SettingsError, match="GREENLEDGER_KEY_LEAD_S"):
            AuthSettings.from_environment({"GREENLEDGER_KEY_LEAD_S": wrong})


async def test_turns_are_taken_one_after_the_other_for_one_key_and_together_for_two():
    turns, inside, most = Turns(), {"a": 0, "b": 0}, {"a": 0, "b": 0}

    async def pass_through(key: str) -> None:
        async with turns.of(key):
            inside[key] += 1
            most[key] = max(most[key], inside[key])
            await asyncio.sleep(0)
            inside[key] -= 1

    async with turns.of("a"), turns.of("b"):
        pass  # two keys do not wait for one another
    await asyncio.gather(*(pass_through(key) for key in "ab" * 5))
    assert most == {"a": 1, "b": 1}
    assert turns._locks == {}


async def test_housekeeping_goes_on_after_a_failure_and_stops_when_asked():
    done, enough = [], asyncio.Event()

    async def work() -> None:
        done.append(time.monotonic())
        if len(done) == 3:
            enough.set()
        raise RuntimeError("the database is away")

    loop = Every("work", work, AuthSettings().key_lead / 15000)
    running = asyncio.create_task(loop.run())
    await enough.wait()
    await loop.stop()
    await running
    seen = len(done)
    await asyncio.sleep(0)
    assert len(done) == seen
