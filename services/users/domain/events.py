"""Facts about people that others hear of."""

from dataclasses import dataclass

from services.users.domain.user import User


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration is complete."""

    user: User


@dataclass(frozen=True, slots=True)
class Updated:
    """A profile changed."""

    user: User


@dataclass(frozen=True, slots=True)
class Deleted:
    """An account was closed."""

    user: User


UserEvent = Registered | Updated | Deleted
