"""Authorization: a method's option in the contract says who may call it; no option, nobody may."""

from typing import Any

from chassis.errors import PermissionDenied
from interceptors import reasons
from interceptors.call import Call, Method, Proceed


class Authorize:
    """Enforces `greenledger.options.v1.policy`. Ownership of single resources is the domain's to check.

    A method with an HTTP binding acts for the person who calls: what it does and stores is by, or of, that
    person. So it refuses services, except those that the contract names among its `callers`.
    """

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Public methods pass; the others need a principal of the right kind, and the permission named."""
        if method.public:
            return proceed
        return _for_persons(method, proceed) if method.for_persons else _permitted(method, proceed)


def _for_persons(method: Method, proceed: Proceed) -> Proceed:
    check = _permitted(method, proceed)
    services = frozenset(method.policy.callers) if method.policy is not None else frozenset()

    async def require_person(request: Any, call: Call) -> Any:
        principal = call.principal
        if principal is not None and principal.kind == "service" and principal.subject not in services:
            raise PermissionDenied(
                reasons.PERSON_REQUIRED,
                "The method is for people; the contract does not name this service among its callers.",
                metadata={"caller": principal.subject},
            )
        return await check(request, call)

    return require_person


def _permitted(method: Method, proceed: Proceed) -> Proceed:
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
