"""Network identity: with mutual TLS, who is at the other end of the connection, apart from any token.

A token says on whose behalf a call is made; the certificate says which process makes it. Both have to fit the
method and each other, so that a stolen service token is of no use without the key of its owner, and a service
that was broken into reaches no more than the contract lets it call.
"""

from typing import Any, Final

from chassis.context import Principal
from chassis.errors import PermissionDenied, Unauthenticated
from chassis.members import EDGE, OPERATOR
from chassis.tls import peer_identity
from interceptors import reasons
from interceptors.call import Call, Method, Proceed

FOR_PERSONS: Final = frozenset({EDGE, OPERATOR})
"""Through whom people call. Services act in their own name only: to pass on people's tokens a service
has to be added here."""


class NetworkIdentity:
    """Lets a member of the fleet call what the contract lets it call; for servers with mutual TLS.

    A method's `callers` may call it. Who acts for persons may, besides, call what has an HTTP binding. A
    method without `callers` may be called by every member. Health and reflection ask for the certificate
    only, which the transport has verified.
    """

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method but health and reflection."""
        if method.infrastructure:
            return proceed
        permitted = _permitted(method)

        async def identify(request: Any, call: Call) -> Any:
            caller = peer_identity(call.grpc.auth_context())
            if not caller:
                raise Unauthenticated(
                    reasons.NETWORK_IDENTITY_INVALID, "The certificate names no member of this fleet."
                )
            call.caller = caller
            if permitted is not None and caller not in permitted:
                raise PermissionDenied(
                    reasons.CALLER_NOT_PERMITTED,
                    "The contract does not let this member of the fleet call the method.",
                    metadata={"caller": caller},
                )
            return await proceed(request, call)

        return identify


class OwnToken:
    """Refuses a token to whom it was not given; for servers with mutual TLS, behind authentication.

    A service's token counts on a connection of that service only. A person's token counts where people call.
    """

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method for which a token is looked at."""
        if method.public:
            return proceed

        async def compare(request: Any, call: Call) -> Any:
            if call.principal is not None and not _given_to(call.principal, call.caller):
                raise Unauthenticated(
                    reasons.TOKEN_NOT_YOURS,
                    "The token was not given to the member of the fleet that sends it.",
                    metadata={"caller": call.caller},
                )
            return await proceed(request, call)

        return compare


def _given_to(principal: Principal, caller: str) -> bool:
    return caller == principal.subject if principal.kind == "service" else caller in FOR_PERSONS


def _permitted(method: Method) -> frozenset[str] | None:
    """Names of those who may call it; None for every member."""
    if method.policy is None or not method.policy.callers:
        return None
    named = frozenset(method.policy.callers)
    return named | FOR_PERSONS if method.for_persons else named
