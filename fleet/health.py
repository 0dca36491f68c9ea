"""Asking a service for its health over grpc.health.v1."""

import asyncio

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2

from fleet.membership import Peer, channel_to

_CHANNEL_OPTIONS = [
    # Otherwise a refused first attempt would make the next ones, on any channel, wait a second.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]


class NotServing(Exception):
    """It answered, but not with SERVING."""


async def check_serving(address: str, *, timeout_s: float = 1.0, peer: Peer | None = None) -> None:
    """Return when the process at `host:port` says SERVING for the whole server (service name empty).

    Args:
        address: `host:port`.
        timeout_s: of the connection and of the call; default 1 s.
        peer: whom to expect there, by mutual TLS; default anybody, in plain text.

    Raises:
        NotServing: it said something else.
        OSError: nothing listens there.
        grpc.RpcError: the call failed.
    """
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(timeout_s):
        _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    async with channel_to(address, peer, _CHANNEL_OPTIONS) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        response = await check(health_pb2.HealthCheckRequest(service=""), timeout=timeout_s)
    if response.status != health_pb2.HealthCheckResponse.SERVING:
        raise NotServing(health_pb2.HealthCheckResponse.ServingStatus.Name(response.status))


async def health_of(address: str, peer: Peer | None = None) -> str:
    """One word for a status table: SERVING, NOT_SERVING, UNIMPLEMENTED, or `no answer`."""
    try:
        await check_serving(address, peer=peer)
    except NotServing as error:
        return str(error)
    except grpc.RpcError as error:
        return str(error.code().name)
    except (OSError, TimeoutError):
        return "no answer"
    return "SERVING"
