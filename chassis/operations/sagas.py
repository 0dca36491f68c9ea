"""Sagas: look at them, and move those that cannot help themselves."""

import json
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from chassis.context import caller
from chassis.errors import FailedPrecondition
from chassis.operations.mechanisms import Context, Methods
from chassis.paging import page_size
from chassis.protobuf import timestamp_to_proto
from chassis.saga import Instance, SagaOperator, State, StepRecord
from greenledger.operations.v1 import operations_pb2 as pb

_STATES = {state: pb.SagaState.Value(f"SAGA_STATE_{state.value}") for state in State}
_FROM_PROTO = {proto: state for state, proto in _STATES.items()}


class SagaMethods(Methods):
    """ListSagas, GetSaga, RetrySaga, SkipSagaStep, ForceCompensateSaga."""

    async def ListSagas(self, request: pb.ListSagasRequest, context: Context) -> pb.ListSagasResponse:
        size, tokens = page_size(request.page_size), self._mechanisms.page_tokens
        query = {"method": "ListSagas", "state": request.state, "name": request.name}
        cursor = tokens.decode(request.page_token, query)
        found = await self._sagas().list(
            _FROM_PROTO.get(request.state),
            name=request.name or None,
            before=cursor["before"] if cursor else None,
            limit=size + 1,
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

    def _shown(self, instance: Instance) -> pb.SagaInstance:
        return _saga(instance, self._sagas().visible(instance))

    def _sagas(self) -> SagaOperator:
        if self._mechanisms.sagas is None:
            raise FailedPrecondition("NO_SAGAS", "this service orchestrates no sagas")
        return self._mechanisms.sagas.operator


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
