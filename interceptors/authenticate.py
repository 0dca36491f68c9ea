"""Authentication: a bearer token to a principal, in every service (zero trust)."""

from typing import Any

from chassis.errors import Unauthenticated
from interceptors import reasons
from interceptors.call import Call, Method, Proceed
from interceptors.tokens import TokenVerifier

AUTHORIZATION = "authorization"


class Authenticate:
    """Requires a valid token for every method that is not public; public ones do not look at it.

    Args:
        verifier: checks tokens.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method that is not public, also those that the contract forgot: those are refused later."""
        if method.public:
            return proceed
        remembered, verify = self._verifier.remembered, self._verifier.verify

        async def authenticate(request: Any, call: Call) -> Any:
            token = _token(call.metadata.get(AUTHORIZATION))
            call.principal = remembered(token) or await verify(token)
            return await proceed(request, call)

        return authenticate


def _token(header: str | bytes | None) -> str:
    if not header or isinstance(header, bytes):
        raise Unauthenticated(reasons.TOKEN_MISSING, "The call needs a bearer token.")
    if header[:7].lower() != "bearer ":
        raise Unauthenticated(reasons.TOKEN_INVALID, "The authorization header is not a bearer token.")
    return header[7:]
