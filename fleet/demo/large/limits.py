"""A large run is the operator's: it lifts the limits of the edge while it lasts and puts them back."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx

from fleet.client import CallFailed, Credentials, RpcEdge, Session
from fleet.demo.patience import until
from greenledger.control.v1 import traffic_pb2

_WHY = "a large demo"
_PUBLIC = "/.well-known/jwks.json"
_SPREAD_S = 5.0
# Control is not there, or not part of this fleet.
_AWAY = ("UNAVAILABLE", "UNIMPLEMENTED")


@asynccontextmanager
async def limits_lifted(
    edge: RpcEdge, edge_url: str, operator: Credentials, say: Callable[[str], None]
) -> AsyncIterator[None]:
    """No limits per client until the block ends.

    Killed at once, it leaves them lifted: `greenledger traffic reset edge` puts them back.

    Raises:
        CallFailed: the operator may not change them.
        FleetError: the edge does not hear of the change.
    """
    session = await Session.open(edge, operator)
    before = await _limits(edge, session)
    if before is None:
        say("Control does not answer: the limits of the edge stay as they are.")
        yield
        return
    lifted = traffic_pb2.EdgePolicy(shared=before.shared)
    for limit in (lifted.anonymous, lifted.authenticated):
        limit.requests = 0
        limit.per.FromSeconds(1)
    await _set(edge, session, lifted)
    try:
        await _spread(edge_url)
        yield
    finally:
        await _set(edge, session, before)


async def _limits(edge: RpcEdge, session: Session) -> traffic_pb2.EdgePolicy | None:
    try:
        return await edge.call(edge.traffic.GetEdgePolicy, traffic_pb2.GetEdgePolicyRequest(), session)
    except CallFailed as error:
        if error.code in _AWAY:
            return None
        raise


async def _set(edge: RpcEdge, session: Session, policy: traffic_pb2.EdgePolicy) -> None:
    request = traffic_pb2.SetEdgePolicyRequest(policy=policy, why=_WHY)
    await edge.call(edge.traffic.SetEdgePolicy, request, session)


async def _spread(edge_url: str) -> None:
    """Wait until the edge has heard of it: what it answers says no limit then."""
    async with httpx.AsyncClient(base_url=edge_url, trust_env=False, timeout=_SPREAD_S) as client:

        async def lifted() -> bool | None:
            return None if "ratelimit-limit" in (await client.get(_PUBLIC)).headers else True

        await until(lifted, "An edge without limits", timeout_s=_SPREAD_S)
