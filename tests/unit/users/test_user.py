"""A user's states and changes, and what an update mask asks for."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chassis.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from greenledger.users.v1 import users_pb2 as pb
from services.users.adapters.codec import change_from_proto, registration_from_proto, user_to_proto
from services.users.application.register import Registration
from services.users.domain.user import Change, Preferences, Refusal, State, User, clean_name

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ADA = User(
    user_id="0192e0a0-0000-7000-8000-000000000001",
    email="ada@example.org",
    display_name="Ada",
    role="guest",
    preferences=Preferences(order_updates=True, language="en"),
    state=State.PENDING,
    created_at=NOW,
    updated_at=NOW,
    request_id=str(uuid.uuid4()),
    request_hash="hash",
)
ACTIVE = ADA.activated(NOW)
REFUSAL = Refusal("EMAIL_TAKEN", "taken")


def test_activation_is_a_new_version_and_once_is_enough():
    assert (ACTIVE.state, ACTIVE.revision, ACTIVE.etag) == (State.ACTIVE, 2, "2")
    assert ACTIVE.activated(LATER) is ACTIVE


@pytest.mark.parametrize("ended", [ADA.failed(REFUSAL, LATER), ACTIVE.deleted(LATER)])
def test_who_has_left_or_failed_is_empty_and_does_not_become_active(ended):
    assert (ended.email, ended.display_name, ended.preferences) == ("", "", Preferences())
    assert ended.request_hash == ""
    with pytest.raises(FailedPrecondition):
        ended.activated(LATER)
    with pytest.raises(NotFound):
        ended.deleted(LATER)
    with pytest.raises(NotFound):
        ended.changed(Change(display_name="Eve"), LATER)


def test_a_failed_registration_knows_why():
    assert ADA.failed(REFUSAL, LATER).refusal == REFUSAL


def test_a_registration_under_way_is_neither_changed_nor_closed():
    for act in (lambda: ADA.deleted(LATER), lambda: ADA.changed(Change(), LATER)):
        with pytest.raises(FailedPrecondition) as error:
            act()
        assert error.value.reason == "REGISTRATION_PENDING"


def test_a_change_touches_only_what_it_names():
    changed = ACTIVE.changed(Change(order_updates=False), LATER)
    assert changed.preferences == Preferences(marketing_email=False, order_updates=False, language="en")
    assert (changed.display_name, changed.revision, changed.updated_at) == ("Ada", 3, LATER)
    assert replace(changed, preferences=ACTIVE.preferences, revision=2, updated_at=NOW) == ACTIVE


def test_a_change_to_what_is_already_there_is_none():
    same = Change(display_name=" Ada ", language="en", immutable={"role": "guest"})
    assert ACTIVE.changed(same, LATER) is ACTIVE


@pytest.mark.parametrize("field", ["email", "role"])
def test_what_cannot_change_is_refused_by_name(field):
    with pytest.raises(InvalidArgument) as error:
        ACTIVE.changed(Change(immutable={field: "other"}), LATER)
    assert (error.value.reason, error.value.violations[0].field) == ("UPDATE_MASK_INVALID", field)


def test_an_etag_names_one_version_and_an_empty_one_any():
    ACTIVE.require_etag("")
    ACTIVE.require_etag("2")
    with pytest.raises(Aborted) as error:
        ACTIVE.require_etag("1")
    assert error.value.reason == "ETAG_MISMATCH"


def test_a_name_loses_the_space_around_it_and_may_be_of_any_script():
    assert clean_name("  Āda  Lovelace ") == "Āda  Lovelace"
    assert clean_name("アダ") == "アダ"


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\r\nBcc: x", "\u202eadA", "\x7f"])
def test_names_with_control_characters_or_nothing_to_see_are_refused(name):
    with pytest.raises(InvalidArgument):
        clean_name(name)


PROTO = pb.User(
    display_name="Eve",
    email="eve@example.org",
    preferences=pb.Preferences(marketing_email=True, language="de"),
)


@pytest.mark.parametrize(
    ("paths", "change"),
    [
        (["display_name"], Change(display_name="Eve")),
        (["preferences.language"], Change(language="de")),
        (
            ["preferences"],
            Change(marketing_email=True, order_updates=False, language="de"),
        ),
        (["*"], Change("Eve", True, False, "de")),
        ([], Change("Eve", True, False, "de", {"email": "eve@example.org"})),
        (["display_name", "display_name"], Change(display_name="Eve")),
    ],
)
def test_a_mask_says_what_changes(paths, change):
    assert change_from_proto(PROTO, paths) == change


def test_without_mask_and_values_nothing_changes():
    assert change_from_proto(pb.User(user_id=ADA.user_id, etag="2"), []) == Change()


@pytest.mark.parametrize(
    "path", ["email", "role", "state", "user_id", "etag", "create_time", "x", "preferences.x", "", "*x"]
)
def test_a_mask_that_names_what_cannot_change_is_refused(path):
    with pytest.raises(InvalidArgument) as error:
        change_from_proto(PROTO, ["display_name", path])
    assert (error.value.reason, error.value.violations[0].field) == ("UPDATE_MASK_INVALID", path)


def test_every_state_that_is_shown_has_a_name_in_the_contract():
    for state in (State.PENDING, State.ACTIVE, State.DELETED):
        shown = user_to_proto(replace(ADA, state=state))
        assert pb.UserState.Name(shown.state) == f"USER_STATE_{state.value}"
        assert (shown.email, shown.etag, shown.create_time.ToDatetime(UTC)) == ("ada@example.org", "1", NOW)


def test_the_digest_of_a_registration_covers_all_but_the_password_and_the_id():
    def digest(**changes: object) -> str:
        facts: dict[str, object] = {
            "request_id": "0B6E9C4A-0000-4000-8000-000000000000",
            "email": "ada@example.org",
            "password": "green tomatoes 42",
            "display_name": "Ada",
            "role": "guest",
        }
        request = pb.CreateUserRequest(**(facts | changes))  # type: ignore[arg-type]
        return registration_from_proto(request).digest

    assert digest() == digest(password="another one 42")
    assert digest() == digest(preferences=pb.Preferences())
    others = [
        digest(email="eve@example.org"),
        digest(display_name="Eve"),
        digest(role="venue"),
        digest(preferences=pb.Preferences(language="de")),
        digest(preferences=pb.Preferences(order_updates=True)),
        digest(preferences=pb.Preferences(marketing_email=True)),
    ]
    assert len({digest(), *others}) == 7
    assert "password" not in Registration.__dataclass_fields__
