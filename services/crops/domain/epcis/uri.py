"""Whether a text is a URI (RFC 3986), which is what EPCIS means by `format: uri`."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final

_PCHAR: Final = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
_USERINFO: Final = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:]|%[0-9A-Fa-f]{2})*"
_REG_NAME: Final = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})*"
_URI: Final = re.compile(
    rf"""
    [A-Za-z][A-Za-z0-9+\-.]*:
    (?: //(?:{_USERINFO}@)?
          (?:\[(?:(?P<ipv6>[0-9A-Fa-f:.]+)|[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+)\]|{_REG_NAME})
          (?::[0-9]*)?(?:/{_PCHAR}*)*
      | /(?:{_PCHAR}+(?:/{_PCHAR}*)*)?
      | {_PCHAR}+(?:/{_PCHAR}*)*
      | )
    (?:\?(?:{_PCHAR}|[/?])*)?
    (?:\#(?:{_PCHAR}|[/?])*)?
    """,
    re.VERBOSE,
)


@lru_cache(maxsize=16_384)
def is_uri(text: str) -> bool:
    """Whether the text is an absolute or scheme-qualified URI; relative references are not.

    Source: RFC 3986 appendix A (rule `URI`), as JSON Schema's format "uri" demands.
    """
    found = _URI.fullmatch(text)
    if found is None:
        return False
    address = found.group("ipv6")
    if address is None:
        return True
    try:
        IPv6Address(address)
    except AddressValueError:
        return False
    return True
