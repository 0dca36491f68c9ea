"""Asking instances by grpc.health.v1 how they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.channels import Channels
from services.control.domain.instances import Instance

OpenChannel = Callable[[Instance], grpc.aio.Channel]


class GrpcProbe:
    """Implements `Probe`.

    Args:
        open_channel: makes the channel to an instance; kept as long as it is asked. Default without TLS,
            see `channels_by`.
    """

    def __init__(self, open_channel: OpenChannel | None = None) -> None:
        self._open_channel = open_channel or channels_by(None)
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def check(self, instance: Instance) -> str:
        place = _place(instance)
        channel = self._channels.get(place)
        if channel is None:
            channel = self._channels[place] = self._open_channel(instance)
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its type hints are those of no runtime
        request = health_pb2.HealthCheckRequest(service=instance.health_check.service)
        try:
            answer = await stub.Check(request, timeout=instance.health_check.timeout.total_seconds())
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details() or 'no details'}"[:200]
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            return ""
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    async def forget(self, instance: Instance) -> None:
        channel = self._channels.pop(_place(instance), None)
        if channel is not None:
            await channel.close()


def channels_by(tls_dir: Path | None) -> OpenChannel:
    """How to open channels.

    Args:
        tls_dir: folder of control's own certificate; instances have to prove their service's name then. None
            for plain text.
    """

    def open_channel(instance: Instance) -> grpc.aio.Channel:
        return Channels({instance.service: _place(instance)}, tls_dir=tls_dir).get(instance.service)

    return open_channel


def _place(instance: Instance) -> str:
    host = f"[{instance.address}]" if ":" in instance.address else instance.address
    return f"{host}:{instance.port}"
