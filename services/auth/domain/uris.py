"""URIs and authorities by the grammar of RFC 3986, appendix A."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

UNRESERVED: Final = r"A-Za-z0-9\-._~"
SUB_DELIMS: Final = r"!$&'()*+,;="
_ENCODED = "%[0-9A-Fa-f]{2}"
PCHAR: Final = rf"(?:[{UNRESERVED}{SUB_DELIMS}:@]|{_ENCODED})"
SCHEME: Final = r"[A-Za-z][A-Za-z0-9+\-.]*"

_USERINFO = re.compile(rf"(?:[{UNRESERVED}{SUB_DELIMS}:]|{_ENCODED})*")
_HOST = re.compile(rf"(?:[{UNRESERVED}{SUB_DELIMS}]|{_ENCODED})*")
_PORT = re.compile(r"[0-9]*")
_IP_FUTURE = re.compile(rf"v[0-9A-Fa-f]+\.[{UNRESERVED}{SUB_DELIMS}:]+", re.IGNORECASE)
_URI = re.compile(
    rf"(?P<scheme>{SCHEME}):"
    rf"(?://(?P<authority>[^/?#]*)(?:/{PCHAR}*)*|/(?:{PCHAR}+(?:/{PCHAR}*)*)?|{PCHAR}+(?:/{PCHAR}*)*|)"
    rf"(?:\?(?:{PCHAR}|[/?])*)?(?:\#(?:{PCHAR}|[/?])*)?"
)


@dataclass(frozen=True, slots=True)
class Uri:
    """What the checks need of a URI.

    Args:
        authority: None for a URI without `//`.
    """

    scheme: str
    authority: str | None

    @property
    def origin(self) -> str:
        """Scheme and authority, in lower case."""
        return f"{self.scheme}://{self.authority or ''}".lower()


def parse_uri(text: str) -> Uri | None:
    """The URI; None when it is none, or only a relative reference."""
    found = _URI.fullmatch(text)
    if found is None:
        return None
    authority = found["authority"]
    if authority is not None and not _is_authority(authority):
        return None
    return Uri(found["scheme"], authority)


def is_domain(text: str) -> bool:
    """Whether it is an authority that names a host."""
    return _is_authority(text) and not text.rpartition("@")[2].startswith(":") and text[-1:] not in ("", "@")


def _is_authority(text: str) -> bool:
    userinfo, at, rest = text.rpartition("@")
    if at and not _USERINFO.fullmatch(userinfo):
        return False
    if rest.startswith("["):
        literal, closed, port = rest[1:].partition("]")
        if not closed or not (_IP_FUTURE.fullmatch(literal) or _is_ipv6(literal)):
            return False
        return not port or (port[0] == ":" and _PORT.fullmatch(port[1:]) is not None)
    host, _, port = rest.partition(":")
    return _HOST.fullmatch(host) is not None and _PORT.fullmatch(port) is not None


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False
