"""What an instance says of itself, and what of it cannot be used."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from chassis.errors import InvalidArgument, Violation
from services.control.domain.instances import HealthCheck, Instance

DEFAULT_LEASE = timedelta(seconds=15)
HEARTBEATS_PER_LEASE = 3
EDGE = "edge"
"""Name under which the proxy and its policy are known; no service can have it."""

_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Announcement:
    """What an instance registers with; the fields are those of `Instance`."""

    instance_id: str
    service: str
    version: str
    address: str
    port: int
    lease: timedelta = DEFAULT_LEASE
    health_check: HealthCheck = field(default_factory=HealthCheck)
    dependencies: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)

    def require_usable(self) -> None:
        """Refuse what would send calls nowhere.

        Raises:
            InvalidArgument: REGISTRATION_INVALID with every field at fault.
        """
        violations = [
            Violation(path, problem)
            for path, problem in (
                ("instance.service", "is the name of the proxy" if self.service == EDGE else ""),
                ("instance.address", _problem_of_address(self.address)),
                ("instance.port", "" if 1 <= self.port <= 65535 else "must be from 1 to 65535"),
                ("lease", "" if self.lease > timedelta(0) else "must be positive"),
            )
            if problem
        ]
        if violations:
            raise unusable(violations)

    def begun(self, now: datetime) -> Instance:
        """The instance as it is registered for the first time, its health not known yet."""
        return Instance(
            instance_id=self.instance_id,
            service=self.service,
            version=self.version,
            address=self.address,
            port=self.port,
            lease=self.lease,
            registered_at=now,
            lease_expires_at=now + self.lease,
            health_changed_at=now,
            health_check=self.health_check,
            dependencies=self.dependencies,
            metadata=self.metadata,
        )


def unusable(violations: Sequence[Violation]) -> InvalidArgument:
    """The refusal of an instance that nobody could call."""
    return InvalidArgument(
        "REGISTRATION_INVALID", "calls cannot be sent to this instance", violations=violations
    )


def _problem_of_address(address: str) -> str:
    try:
        ip = ip_address(address)
    except ValueError:
        return "" if _is_host(address) else "must be an IP address or a host name"
    return "is not one that can be called" if ip.is_unspecified or ip.is_multicast else ""


def _is_host(name: str) -> bool:
    labels = name.removesuffix(".").split(".")
    # Digits alone at the end are a misspelt IPv4 address (RFC 3696, section 2).
    return len(name) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
