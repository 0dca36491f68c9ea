"""What runs here, and how far behind it is."""

from importlib.metadata import PackageNotFoundError, version

from chassis.operations.mechanisms import Context, Methods
from chassis.protobuf import timestamp_to_proto
from greenledger.operations.v1 import operations_pb2 as pb


class StatusMethods(Methods):
    """GetStatus."""

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.ServiceStatus:
        mechanisms = self._mechanisms
        lag = await mechanisms.relay.lag()
        database = mechanisms.database
        status = pb.ServiceStatus(
            service=mechanisms.service,
            version=_version(),
            start_time=timestamp_to_proto(mechanisms.started_at),
            outbox_lag_rows=lag.rows,
            outbox_lag_seconds=lag.seconds,
            schema_revision=await database.fetchval("SELECT version_num FROM alembic_version") or "",
        )
        for consumer in mechanisms.consumers.values():
            state = await consumer.status()
            status.consumers.add(
                group=state.group, in_flight=state.in_flight, lag=state.lag, parked_keys=state.parked_keys
            )
        if mechanisms.sagas is not None:
            counts = await database.fetch("SELECT state, count(*) AS n FROM saga GROUP BY state")
            status.sagas.update({row["state"]: row["n"] for row in counts})
        return status


def _version() -> str:
    try:
        return version("greenledger")
    except PackageNotFoundError:
        return "unpackaged"
