"""Protobuf to domain and back."""

from collections.abc import Mapping, Sequence
from typing import Final

from chassis.protobuf import timestamp_to_proto
from greenledger.users.v1 import users_pb2 as pb
from services.users.application.register import Registration
from services.users.domain.user import Change, Preferences, State, User, mask_invalid

_STATES = {
    State.PENDING: pb.USER_STATE_PENDING,
    State.ACTIVE: pb.USER_STATE_ACTIVE,
    State.DELETED: pb.USER_STATE_DELETED,
}
_PREFERENCES: Final = ("preferences.marketing_email", "preferences.order_updates", "preferences.language")
_CHANGEABLE: Final = ("display_name", *_PREFERENCES)
_IMMUTABLE: Final = ("email", "role")


def preferences_to_proto(preferences: Preferences) -> pb.Preferences:
    """Preferences as the contract shows them."""
    return pb.Preferences(
        marketing_email=preferences.marketing_email,
        order_updates=preferences.order_updates,
        language=preferences.language,
    )


def preferences_from_proto(proto: pb.Preferences) -> Preferences:
    """Preferences as given."""
    return Preferences(proto.marketing_email, proto.order_updates, proto.language)


def user_to_proto(user: User) -> pb.User:
    """A user as the contract shows one."""
    return pb.User(
        user_id=user.user_id,
        email=user.email,
        display_name=user.display_name,
        role=user.role,
        preferences=preferences_to_proto(user.preferences),
        state=_STATES[user.state],
        create_time=timestamp_to_proto(user.created_at),
        update_time=timestamp_to_proto(user.updated_at),
        etag=user.etag,
    )


def registration_from_proto(request: pb.CreateUserRequest) -> Registration:
    """What a registration asks for, without the password."""
    return Registration(
        request_id=request.request_id.lower(),
        email=request.email,
        display_name=request.display_name,
        role=request.role,
        preferences=preferences_from_proto(request.preferences),
    )


def change_from_proto(user: pb.User, paths: Sequence[str]) -> Change:
    """What an update asks for (AIP-134, AIP-161).

    Args:
        user: the new values.
        paths: of the update mask; none means the fields that are set, "*" all that can change.

    Raises:
        InvalidArgument: UPDATE_MASK_INVALID.
    """
    if not paths:
        paths = ["display_name"] if user.display_name else []
        paths += ["preferences"] if user.HasField("preferences") else []
        # Values that cannot change may be sent along when a profile is sent back as it was read.
        return _change(user, paths, {name: getattr(user, name) for name in _IMMUTABLE if getattr(user, name)})
    return _change(user, _CHANGEABLE if list(paths) == ["*"] else paths, {})


def _change(user: pb.User, paths: Sequence[str], immutable: Mapping[str, str]) -> Change:
    named: set[str] = set()
    for path in paths:
        if path != "preferences" and path not in _CHANGEABLE:
            raise mask_invalid(path[:100], "cannot be changed, or is no field of a user")
        named.update(_PREFERENCES if path == "preferences" else [path])
    wanted = user.preferences
    return Change(
        display_name=user.display_name if "display_name" in named else None,
        marketing_email=wanted.marketing_email if "preferences.marketing_email" in named else None,
        order_updates=wanted.order_updates if "preferences.order_updates" in named else None,
        language=wanted.language if "preferences.language" in named else None,
        immutable=immutable,
    )
