"""OperationsService: what an operator sees and may do in a running service."""

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from chassis.context import caller
from chassis.errors import FailedPrecondition, NotFound
from chassis.inbox import Consumer, ParkedEvent
from chassis.outbox import Relay
from chassis.paging import page_size
from chassis.protobuf import timestamp_to_proto
from chassis.saga import Instance, SagaEngine, SagaOperator, State, StepRecord
from chassis.service import Servicer
from greenledger.operations.v1 import operations_pb2 as pb
from greenledger.operations.v1 import operations_pb2_grpc

if TYPE_CHECKING:
    from chassis.runtime import Runtime

NAME = "greenledger.operations.v1.OperationsService"
Context = grpc.aio.ServicerContext[Any, Any]

_STATES = {state: pb.SagaState.Value(f"SAGA_STATE_{state.value}") for state in State}
_FROM_PROTO = {proto: state for state, proto in _STATES.items()}


class OperationsServicer(operations_pb2_grpc.OperationsServiceServicer):
    """Implements the contract on the mechanisms of one process.

    Args:
        runtime: of the process.
        relay: its outbox relay.
        consumers: its consumers.
        sagas: its saga engine; None when it orchestrates nothing.
    """

    def __init__(
        self, runtime: "Runtime", relay: Relay, consumers: Sequence[Consumer], sagas: SagaEngine | None
    ) -> None:
        self._runtime = runtime
        self._relay = relay
        self._consumers = {consumer.group: consumer for consumer in consumers}
        self._engine = sagas
        self._started_at = runtime.clock.now()

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.ServiceStatus:
        lag = await self._relay.lag()
        database = self._runtime.database
        status = pb.ServiceStatus(
            service=self._runtime.settings.service,
            version=_version(),
            start_time=timestamp_to_proto(self._started_at),
            outbox_lag_rows=lag.rows,
            outbox_lag_seconds=lag.seconds,
            schema_revision=await database.fetchval("SELECT version_num FROM alembic_version") or "",
        )
        for consumer in self._consumers.values():
            state = await consumer.status()
            status.consumers.add(
                group=state.group, in_flight=state.in_flight, lag=state.lag, parked_keys=state.parked_keys
            )
        if self._engine is not None:
            counts = await database.fetch("SELECT state, count(*) AS n FROM saga GROUP BY state")
            status.sagas.update({row["state"]: row["n"] for row in counts})
        return status

    async def ListSagas(self, request: pb.ListSagasRequest, context: Context) -> pb.ListSagasResponse:
        size, tokens = page_size(request.page_size), self._runtime.page_tokens
        query = {"method": "ListSagas", "state": request.state}
        cursor = tokens.decode(request.page_token, query)
        found = await self._sagas().list(
            _FROM_PROTO.get(request.state), before=cursor["before"] if cursor else None, limit=size + 1
        )
        page, token = tokens.cut(found, size, lambda last: {"before": last.saga_id}, query)
        return pb.ListSagasResponse(sagas=map(self._shown, page), next_page_token=token)

    async def GetSaga(self, request: pb.GetSagaRequest, context: Context) -> pb.SagaInstance:
        return self._shown(await self._sagas().get(request.saga_id))

    async def RetrySaga(self, request: pb.RetrySagaRequest, context: Context) -> pb.SagaInstance:
        return self._shown(await self._sagas().retry(request.saga_id, caller().subject, request.why))

    async def SkipSagaStep(self, request: pb.SkipSagaStepRequest, context: Context) -> pb.SagaInstance:
        who = caller().subject
        return self._shown(await self._sagas().skip(request.saga_id, request.step, who, request.why))

    async def ForceCompensateSaga(
        self, request: pb.ForceCompensateSagaRequest, context: Context
    ) -> pb.SagaInstance:
        return self._shown(
            await self._sagas().force_compensate(request.saga_id, caller().subject, request.why)
        )

    async def ListParkedEvents(
        self, request: pb.ListParkedEventsRequest, context: Context
    ) -> pb.ListParkedEventsResponse:
        size, tokens = page_size(request.page_size), self._runtime.page_tokens
        query = {"method": "ListParkedEvents"}
        cursor = tokens.decode(request.page_token, query)
        after = cursor["after"] if cursor else 0
        found = [
            event
            for consumer in self._consumers.values()
            for event in await consumer.parked.list(after, size + 1)
        ]
        found.sort(key=lambda event: event.position)
        page, token = tokens.cut(found, size, lambda last: {"after": last.position}, query)
        return pb.ListParkedEventsResponse(parked_events=map(_parked, page), next_page_token=token)

    async def ReplayParkedKey(self, request: pb.ReplayParkedKeyRequest, context: Context) -> Empty:
        parked = self._consumer(request.consumer).parked
        await parked.replay(request.topic, request.key, who=caller().subject, why=request.why)
        return Empty()

    async def DiscardParkedEvent(self, request: pb.DiscardParkedEventRequest, context: Context) -> Empty:
        parked = self._consumer(request.consumer).parked
        who = caller().subject
        await parked.discard(request.topic, request.key, request.event_id, who=who, why=request.why)
        return Empty()

    def _shown(self, instance: Instance) -> pb.SagaInstance:
        return _saga(instance, self._sagas().visible(instance))

    def _sagas(self) -> SagaOperator:
        if self._engine is None:
            raise FailedPrecondition("NO_SAGAS", "this service orchestrates no sagas")
        return self._engine.operator

    def _consumer(self, group: str) -> Consumer:
        try:
            return self._consumers[group]
        except KeyError:
            raise NotFound("CONSUMER_NOT_FOUND", f"this service has no consumer {group!r}") from None


def servicer(operations: OperationsServicer) -> Servicer:
    """The declaration for the process's server."""
    return Servicer(NAME, operations_pb2_grpc.add_OperationsServiceServicer_to_server, operations)


def _version() -> str:
    try:
        return version("greenledger")
    except PackageNotFoundError:
        return "unpackaged"


def _saga(instance: Instance, data: dict[str, Any]) -> pb.SagaInstance:
    proto = pb.SagaInstance(
        saga_id=instance.saga_id,
        name=instance.name,
        version=instance.version,
        state=_STATES[instance.state],
        data=ParseDict(data, Struct()),
        create_time=timestamp_to_proto(instance.created_at),
        update_time=timestamp_to_proto(instance.updated_at),
        deadline_time=timestamp_to_proto(instance.deadline_at),
        steps=map(_step, instance.records.values()),
    )
    if instance.failure is not None:
        proto.error = f"{instance.failure.step}: {instance.failure.reason}: {instance.failure.message}"
    return proto


def _step(record: StepRecord) -> pb.SagaStep:
    proto = pb.SagaStep(
        name=record.step,
        direction=record.direction.value,
        state=record.state.value,
        attempts=record.attempts,
        idempotency_key=record.idempotency_key,
        error=json.dumps(dict(record.error)) if record.error else "",
        start_time=timestamp_to_proto(record.started_at),
    )
    if record.finished_at is not None:
        proto.end_time.CopyFrom(timestamp_to_proto(record.finished_at))
    return proto


def _parked(event: ParkedEvent) -> pb.ParkedEvent:
    return pb.ParkedEvent(
        consumer=event.consumer,
        topic=event.topic,
        key=event.key,
        key_sequence=event.key_sequence,
        event_id=event.event_id,
        reason=event.reason,
        attempts=event.attempts,
        parked_time=timestamp_to_proto(event.parked_time),
    )
