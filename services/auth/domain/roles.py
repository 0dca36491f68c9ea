"""Who may do what: roles of people and scopes of services, as data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chassis.errors import FailedPrecondition, InvalidArgument

OPERATOR = "operator"

_GUEST = frozenset({"orders.cart", "orders.checkout", "crops.lots.read", "market.read"})
_GROWER = frozenset(
    {
        "crops.epcis.capture",
        "crops.epcis.read",
        "crops.lots.mint",
        "market.listings.write",
        "market.purchases.write",
        "market.read",
        "crops.lots.transfer",
        "crops.lots.recall",
        "crops.lots.read",
        "orders.cart",
        "orders.checkout",
    }
)
_VENUE = frozenset(
    {
        "catalog.venues.write",
        "catalog.menu.write",
        "inventory.stock.write",
        "market.listings.write",
        "market.purchases.write",
        "market.read",
        "inventory.stock.read",
        "crops.epcis.capture",
        "crops.epcis.read",
        "crops.lots.read",
        "crops.lots.transfer",
        "crops.lots.recall",
        "orders.cart",
        "orders.checkout",
        "orders.venue.read",
    }
)
_AUDITOR = frozenset(
    {
        "control.config.read",
        "control.instances.read",
        "control.traffic.read",
        "crops.epcis.read",
        "crops.lots.read",
        "trace.read",
        "orders.read",
        "payments.read",
        "users.read",
        "operations.read",
        "inventory.read",
        "market.purchases.read",
        "market.read",
        "inventory.stock.read",
    }
)
_OPERATORS_ONLY = frozenset(
    {
        "auth.access.read",
        "auth.credentials.write",
        "auth.keys.rotate",
        "auth.roles.write",
        "control.config.write",
        "control.instances.write",
        "control.traffic.write",
        "crops.lots.commit",
        "crops.lots.deliver",
        "crops.recall",
        "inventory.reservations.write",
        "inventory.stock.quarantine",
        "notifications.mailbox.read",
        "notifications.read",
        "notifications.send",
        "operations.write",
        "payments.process",
        "payments.refund",
        "trace.personal",
        "users.write",
    }
)

PERMISSIONS = _GUEST | _GROWER | _VENUE | _AUDITOR | _OPERATORS_ONLY
"""Every permission there is."""


@dataclass(frozen=True, slots=True)
class Role:
    """A name for a set of permissions.

    Args:
        self_service: whether a person may ask for it when registering.
    """

    name: str
    permissions: frozenset[str]
    self_service: bool


ROLES: Mapping[str, Role] = {
    role.name: role
    for role in (
        Role("auditor", _AUDITOR, self_service=False),
        Role("grower", _GROWER, self_service=True),
        Role("guest", _GUEST, self_service=True),
        Role(OPERATOR, PERMISSIONS, self_service=False),
        Role("venue", _VENUE, self_service=True),
    )
}
"""All roles, by name in ascending order."""

MEMBER_SCOPES = frozenset({"control.config.read", "control.instances.write", "control.traffic.read"})
"""Permissions of every service account: to be found, and to learn how to call others."""

SERVICE_SCOPES: Mapping[str, frozenset[str]] = {
    "users": frozenset({"auth.credentials.write", "notifications.send"}),
    "crops": frozenset({"inventory.stock.quarantine", "notifications.send", "users.read"}),
    "inventory": frozenset({"crops.lots.commit"}),
    "orders": frozenset({"inventory.reservations.write", "payments.process", "payments.refund"}),
    "market": frozenset(
        {
            "crops.lots.commit",
            "crops.lots.deliver",
            "crops.lots.mint",
            "crops.lots.read",
            "crops.lots.recall",
            "notifications.send",
            "payments.process",
            "payments.refund",
        }
    ),
    "notifications": frozenset({"users.read"}),
}
"""Permissions that service accounts have besides; a service that is not listed has none."""


def scopes_of(service: str) -> frozenset[str]:
    """What a service account may do."""
    return MEMBER_SCOPES | SERVICE_SCOPES.get(service, frozenset())


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """What somebody with these roles may do; a role that is gone gives nothing."""
    return frozenset().union(*(ROLES[name].permissions for name in roles if name in ROLES))


def require_known(roles: Iterable[str]) -> None:
    """Refuse names that are no roles.

    Raises:
        InvalidArgument: ROLE_UNKNOWN.
    """
    for name in roles:
        if name not in ROLES:
            raise InvalidArgument("ROLE_UNKNOWN", "there is no such role", metadata={"role": name})


def require_self_service(role: str) -> None:
    """Refuse a role that nobody may give themselves.

    Raises:
        InvalidArgument: ROLE_UNKNOWN.
        FailedPrecondition: ROLE_NOT_SELF_SERVICE.
    """
    require_known([role])
    if not ROLES[role].self_service:
        raise FailedPrecondition(
            "ROLE_NOT_SELF_SERVICE", "an operator has to assign this role", metadata={"role": role}
        )
