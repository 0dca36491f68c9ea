"""What services say of themselves to an operator, asked at each one's own port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fleet.client import CallFailed, RpcEdge, Session
from fleet.errors import FleetError
from fleet.membership import Peer
from fleet.operator import operator_of
from fleet.settings import FleetSettings
from fleet.state import ComponentRecord, FleetRecord
from fleet.status import FactsSource, ServiceFacts
from greenledger.operations.v1 import operations_pb2

_TIMEOUT_S = 3.0
_STUCK = "STUCK"


@asynccontextmanager
async def facts_of(settings: FleetSettings, record: FleetRecord) -> AsyncIterator[FactsSource | None]:
    """Log in as the fleet's operator and ask with that; None when the operator cannot log in.

    The login goes to the auth service itself, so that it works without the edge.
    """
    auth_process = record.services.get("auth")
    if auth_process is None:
        yield None
        return
    peer = record.peer("auth")
    async with RpcEdge(auth_process.address, timeout_s=_TIMEOUT_S, peer=peer) as auth:
        try:
            session = await Session.open(auth, operator_of(settings))
        except (CallFailed, FleetError):
            yield None
            return

        async def ask(entry: ComponentRecord) -> ServiceFacts | None:
            return await _ask(entry.address, record.peer(entry.name), session)

        yield ask


async def _ask(address: str, peer: Peer | None, session: Session) -> ServiceFacts | None:
    """Facts of one service; None when it does not permit it or does not answer."""
    async with RpcEdge(address, timeout_s=_TIMEOUT_S, peer=peer) as service:
        try:
            status = await service.call(
                service.operations.GetStatus, operations_pb2.GetStatusRequest(), session
            )
        except CallFailed:
            return None
    return ServiceFacts(
        version=status.version,
        outbox_lag_rows=status.outbox_lag_rows,
        consumer_lag=sum(consumer.lag for consumer in status.consumers),
        parked_keys=sum(consumer.parked_keys for consumer in status.consumers),
        stuck_sagas=status.sagas.get(_STUCK, 0),
    )
