"""Roles, passwords, throttling, logins and keys: the rules alone."""

import importlib
import pkgutil
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.descriptor import FileDescriptor

import greenledger
from chassis.errors import InvalidArgument
from greenledger.options.v1 import options_pb2
from services.auth.domain import roles
from services.auth.domain.keys import SigningKey, published, retirement, signer
from services.auth.domain.logins import Lifetimes, Login, RefreshToken, Verdict, judge
from services.auth.domain.passwords import COMMON, SHORTEST, require_strong
from services.auth.domain.throttle import Failures, Throttle

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def contracts() -> list[FileDescriptor]:
    """Every generated contract."""
    names = [module.name for module in pkgutil.walk_packages(greenledger.__path__, "greenledger.")]
    modules = [importlib.import_module(name) for name in names if name.endswith("_pb2")]
    return [module.DESCRIPTOR for module in modules]


def declared_permissions() -> set[str]:
    return {
        method.GetOptions().Extensions[options_pb2.policy].permission
        for file in contracts()
        for service in file.services_by_name.values()
        for method in service.methods
    } - {""}


def test_every_permission_that_a_contract_names_exists_and_is_the_operators():
    assert len(declared_permissions()) > 15
    assert declared_permissions() <= roles.PERMISSIONS
    assert roles.ROLES["operator"].permissions == roles.PERMISSIONS


@pytest.mark.parametrize(
    ("role", "permissions"),
    [
        ("guest", "orders.cart orders.checkout crops.lots.read market.read"),
        (
            "grower",
            """crops.epcis.capture crops.epcis.read
            crops.lots.mint crops.lots.transfer crops.lots.recall crops.lots.read
            market.listings.write market.purchases.write market.read
            orders.cart orders.checkout""",
        ),
        (
            "venue",
            """catalog.venues.write catalog.menu.write inventory.stock.write inventory.stock.read
            crops.epcis.capture crops.epcis.read
            crops.lots.read crops.lots.transfer crops.lots.recall orders.cart orders.checkout
            market.listings.write market.purchases.write market.read orders.venue.read""",
        ),
        (
            "auditor",
            """control.config.read control.instances.read control.traffic.read
            crops.epcis.read crops.lots.read trace.read orders.read payments.read users.read
            operations.read inventory.read inventory.stock.read market.purchases.read market.read""",
        ),
    ],
)
def test_each_role_permits_exactly_what_it_should(role, permissions):
    assert roles.ROLES[role].permissions == set(permissions.split())


def test_only_guests_growers_and_venues_register_themselves():
    assert {role.name for role in roles.ROLES.values() if role.self_service} == {"guest", "grower", "venue"}


def test_the_auditor_sees_no_personal_trace_data_and_changes_nothing():
    assert "trace.personal" not in roles.ROLES["auditor"].permissions
    assert all(name.endswith(".read") for name in roles.ROLES["auditor"].permissions)


def test_services_have_permissions_that_exist_and_never_those_of_operators():
    operators = {"auth.roles.write", "auth.keys.rotate", "operations.write", "users.write"}
    operators |= {"control.config.write", "control.traffic.write"}
    for scope in (roles.MEMBER_SCOPES, *roles.SERVICE_SCOPES.values()):
        assert scope <= roles.PERMISSIONS
        assert not scope & operators


def test_every_service_may_register_itself_and_learn_how_to_call_others():
    assert roles.scopes_of("payments") == {
        "control.instances.write",
        "control.config.read",
        "control.traffic.read",
    }
    assert roles.scopes_of("notifications") == roles.MEMBER_SCOPES | {"users.read"}


def test_the_permissions_of_several_roles_add_up_and_an_unknown_one_adds_nothing():
    both = roles.permissions_of(["guest", "auditor", "abolished"])
    assert both == roles.ROLES["guest"].permissions | roles.ROLES["auditor"].permissions


@pytest.mark.parametrize(
    ("password", "email"),
    [
        ("short", "ada@example.org"),
        ("Password123", "ada@example.org"),
        (" 1234567890 ", "ada@example.org"),
        ("aaabbbaaabbb", "ada@example.org"),
        ("I am LOVELACE", "lovelace@example.org"),
    ],
)
def test_weak_passwords_are_refused_with_the_field(password, email):
    with pytest.raises(InvalidArgument) as error:
        require_strong(password, email)
    assert (error.value.reason, error.value.violations[0].field) == ("PASSWORD_WEAK", "password")
    assert password not in error.value.message


@pytest.mark.parametrize("password", ["green tomatoes 42", "Ada likes numbers", "пароль который длинный"])
def test_other_passwords_are_accepted_also_with_a_short_name_in_them(password):
    require_strong(password, "ada@example.org")


def test_the_list_of_common_passwords_holds_none_that_its_length_refuses_anyway():
    assert {value for value in COMMON if len(value) < SHORTEST} == set()
    assert {value for value in COMMON if value != value.casefold()} == set()


def test_the_first_failures_cost_no_pause_and_then_it_doubles_up_to_the_ceiling():
    throttle = Throttle(free=3, first=timedelta(seconds=1), ceiling=timedelta(seconds=10))
    pauses = [throttle.wait(Failures(count, NOW), NOW) for count in (1, 3, 4, 5, 6, 7, 8, 10_000)]
    assert pauses == [None, None, *(timedelta(seconds=s) for s in (1, 2, 4, 8, 10, 10))]


def test_a_pause_shrinks_with_time_and_ends():
    throttle, failures = Throttle(free=0, first=timedelta(seconds=10)), Failures(1, NOW)
    assert throttle.wait(failures, NOW + timedelta(seconds=7)) == timedelta(seconds=3)
    assert throttle.wait(failures, NOW + timedelta(seconds=10)) is None
    assert throttle.wait(None, NOW) is None


def test_a_used_token_is_reused_even_when_it_has_expired_or_its_login_has_ended():
    ended = Login("f", "u", NOW, NOW + MINUTE, revoked_at=NOW)
    used = RefreshToken(b"", "f", NOW + MINUTE, used_at=NOW)
    assert judge(ended, used, NOW + 2 * MINUTE) is Verdict.REUSED


@pytest.mark.parametrize(
    ("revoked", "token_life", "login_life", "verdict"),
    [
        (False, 2, 2, Verdict.GOOD),
        (True, 2, 2, Verdict.INVALID),
        (False, 1, 2, Verdict.INVALID),
        (False, 2, 1, Verdict.INVALID),
    ],
)
def test_a_token_is_good_while_it_and_its_login_live(revoked, token_life, login_life, verdict):
    login = Login("f", "u", NOW, NOW + login_life * MINUTE, NOW if revoked else None)
    assert judge(login, RefreshToken(b"", "f", NOW + token_life * MINUTE), NOW + MINUTE) is verdict


def test_the_newest_active_key_signs_and_all_that_are_not_retired_verify():
    old = SigningKey("old", NOW, NOW, retired_at=NOW + 10 * MINUTE)
    present = SigningKey("present", NOW, NOW + MINUTE)
    coming = SigningKey("coming", NOW, NOW + 5 * MINUTE)
    keys = [coming, old, present]
    assert signer(keys, NOW) == old
    assert signer(keys, NOW + MINUTE) == present
    assert signer(keys, NOW + 5 * MINUTE) == coming
    assert published(keys, NOW) == keys
    assert published(keys, NOW + 10 * MINUTE) == [coming, present]
    assert signer([], NOW) is None


def test_a_key_retires_once_the_last_token_that_it_can_have_signed_has_expired():
    successor = SigningKey("new", NOW, NOW + MINUTE)
    life = Lifetimes()
    last_token_expires = successor.active_from + life.service_token
    assert retirement(successor, life.longest_token, timedelta(seconds=15)) > last_token_expires
