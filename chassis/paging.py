"""Page sizes and page tokens (AIP-158)."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from chassis.errors import InvalidArgument, Violation

_MAC_BYTES = 16
_FORMAT = b"\x01"
_Item = TypeVar("_Item")


def page_size(requested: int, *, default: int = 50, maximum: int = 1000) -> int:
    """How many items to return.

    Args:
        requested: from the request; 0 means unset.
        default: for 0; default 50.
        maximum: larger requests get this many; default 1000.

    Raises:
        InvalidArgument: it is negative.
    """
    if requested < 0:
        raise InvalidArgument(
            "VALIDATION_FAILED",
            "page_size must not be negative.",
            violations=(Violation("page_size", "must not be negative"),),
        )
    return min(requested or default, maximum)


class PageTokens:
    """Makes and reads opaque tokens that only this service could have made, for this very query.

    Args:
        secret: at least 16 bytes, the same in all replicas.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("the page token secret needs at least 16 bytes")
        self._secret = secret

    def encode(self, cursor: Mapping[str, Any], query: Mapping[str, Any]) -> str:
        """A token for the page after `cursor`.

        Args:
            cursor: where to go on, JSON values; readable by the caller who decodes it.
            query: what the list was asked with (method, filter, order, parent), without page size and
                token; a token is refused for any other.
        """
        body = _FORMAT + json.dumps(dict(cursor), separators=(",", ":"), sort_keys=True).encode()
        return base64.urlsafe_b64encode(self._mac(body, query) + body).rstrip(b"=").decode()

    def decode(self, token: str, query: Mapping[str, Any]) -> dict[str, Any] | None:
        """The cursor of a token; None for the empty token of a first page.

        Raises:
            InvalidArgument: not made by this service, altered, or made for another query.
        """
        if not token:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise _refused() from error
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not body.startswith(_FORMAT) or not hmac.compare_digest(mac, self._mac(body, query)):
            raise _refused()
        cursor: dict[str, Any] = json.loads(body[len(_FORMAT) :])
        return cursor

    def cut(
        self,
        found: Sequence[_Item],
        size: int,
        cursor: Callable[[_Item], Mapping[str, Any]],
        query: Mapping[str, Any],
    ) -> tuple[Sequence[_Item], str]:
        """A page out of what was read, and the token of the next page ("" after the last).

        Args:
            found: up to `size + 1` items; the one too many only says that there are more.
            size: of the page.
            cursor: where to go on after an item.
            query: as for `encode`.
        """
        page = found[:size]
        return page, self.encode(cursor(page[-1]), query) if len(found) > size else ""

    def _mac(self, body: bytes, query: Mapping[str, Any]) -> bytes:
        asked = json.dumps(dict(query), separators=(",", ":"), sort_keys=True, default=str).encode()
        message = hashlib.sha256(asked).digest() + body
        return hmac.digest(self._secret, message, "sha256")[:_MAC_BYTES]


def _refused() -> InvalidArgument:
    return InvalidArgument(
        "PAGE_TOKEN_INVALID",
        "page_token was not issued for this request; start again from the first page.",
        violations=(Violation("page_token", "was not issued for this request"),),
    )
