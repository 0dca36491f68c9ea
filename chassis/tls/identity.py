"""Network identities: who holds the certificate at the other end of a connection (SPIFFE, X.509-SVID)."""

from collections.abc import Iterable, Mapping
from typing import Final

TRUST_DOMAIN: Final = "greenledger"
"""The trust domain of every fleet: identities of another one are nobody here."""

_SCHEME: Final = f"spiffe://{TRUST_DOMAIN}/"
# gRPC gives it for a certificate with exactly one URI that is a well-formed SPIFFE id.
_PEER = "peer_spiffe_id"


def spiffe_id(name: str) -> str:
    """The identity of a member of the fleet, as it stands in its certificate."""
    return _SCHEME + name


def peer_identity(auth_context: Mapping[str, Iterable[bytes]]) -> str:
    """The member's name that the peer's certificate proves; empty when it proves none of ours.

    Args:
        auth_context: of a gRPC call; the transport has verified the certificate.
    """
    for found in auth_context.get(_PEER, ()):
        text = found.decode("utf-8", "replace")
        name = text.removeprefix(_SCHEME)
        return name if name != text and "/" not in name else ""
    return ""
