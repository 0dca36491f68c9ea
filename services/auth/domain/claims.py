"""What tokens say (RFC 7519)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

ISSUER: Final = "greenledger-auth"
USERS: Final = "greenledger"
SERVICES: Final = "greenledger-services"


def user_claims(
    user_id: str,
    roles: Iterable[str],
    permissions: Iterable[str],
    issued: datetime,
    expires: datetime,
    jti: str,
) -> dict[str, Any]:
    """Claims of a person's access token."""
    return _claims(USERS, "user", user_id, roles, permissions, issued, expires, jti)


def service_claims(
    service: str, permissions: Iterable[str], issued: datetime, expires: datetime, jti: str
) -> dict[str, Any]:
    """Claims of a service token."""
    return _claims(SERVICES, "service", service, (), permissions, issued, expires, jti)


def _claims(
    audience: str,
    kind: str,
    subject: str,
    roles: Iterable[str],
    permissions: Iterable[str],
    issued: datetime,
    expires: datetime,
    jti: str,
) -> dict[str, Any]:
    return {
        "iss": ISSUER,
        "aud": audience,
        "sub": subject,
        "kind": kind,
        "roles": sorted(roles),
        "scope": " ".join(sorted(permissions)),
        "iat": int(issued.timestamp()),
        "exp": int(expires.timestamp()),
        "jti": jti,
    }
