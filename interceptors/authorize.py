"""Authorization: a method's option in the contract says who may call it; no option, nobody may."""

from typing import Any

from chassis.errors import PermissionDenied
from interceptors import reasons
from interceptors.call import Call, Method, Proceed


class Authorize:
    """Enforces `greenledger.options.v1.policy`. Ownership of single resources is the domain's to check."""

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Public methods pass; the others need a principal, and the permission that the option names."""
        if method.public:
            return proceed
        access = method.policy.WhichOneof("access") if method.policy is not None else None
        if method.policy is not None and access == "authenticated" and method.policy.authenticated:
            return _require(None, proceed)
        if method.policy is not None and access == "permission" and method.policy.permission:
            return _require(method.policy.permission, proceed)
        return _refuse


def _require(permission: str | None, proceed: Proceed) -> Proceed:
    async def check(request: Any, call: Call) -> Any:
        principal = call.principal
        if principal is None or (permission is not None and permission not in principal.permissions):
            raise PermissionDenied(
                reasons.PERMISSION_DENIED,
                "The caller may not do this.",
                metadata={} if permission is None else {"permission": permission},
            )
        return await proceed(request, call)

    return check


async def _refuse(_request: Any, _call: Call) -> Any:
    raise PermissionDenied(reasons.PERMISSION_DENIED, "The contract does not say who may call this method.")
