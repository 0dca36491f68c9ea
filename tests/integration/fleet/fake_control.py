"""A control with one service and one setting, for the commands that talk to it; it keeps what it is told."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.control.v1 import (
    config_pb2,
    config_pb2_grpc,
    control_pb2,
    control_pb2_grpc,
    traffic_pb2,
    traffic_pb2_grpc,
)

START = traffic_pb2.TrafficPolicy(
    service="crops",
    weights=[
        traffic_pb2.VersionWeight(version="v1", weight=90),
        traffic_pb2.VersionWeight(version="v2", weight=10),
    ],
)


@dataclass
class FakeControl:
    """What it was told.

    Args:
        policies: of crops, oldest first.
        limits: of the edge, oldest first.
        values: of log.level, oldest first.
        breaks: after how many messages each of the next watches ends with UNAVAILABLE, as one of a replica
            that restarts does.
    """

    policies: list[traffic_pb2.TrafficPolicy] = field(default_factory=lambda: [START])
    values: list[config_pb2.ConfigEntry] = field(
        default_factory=lambda: [
            config_pb2.ConfigEntry(
                name="log.level",
                value="INFO",
                default_value="INFO",
                kind=config_pb2.CONFIG_KIND_CHOICE,
                etag="0",
            )
        ]
    )
    limits: list[traffic_pb2.EdgePolicy] = field(default_factory=lambda: [traffic_pb2.EdgePolicy()])
    breaks: list[int] = field(default_factory=list)
    port: int = 0

    def keep(self, policy: traffic_pb2.TrafficPolicy, why: str) -> traffic_pb2.TrafficPolicy:
        kept = traffic_pb2.TrafficPolicy()
        kept.CopyFrom(policy)
        version = len(self.policies)
        kept.MergeFrom(
            traffic_pb2.TrafficPolicy(version=version, etag=str(version), why=why, updated_by="ada")
        )
        self.policies.append(kept)
        return kept

    def keep_limits(self, policy: traffic_pb2.EdgePolicy, why: str) -> traffic_pb2.EdgePolicy:
        kept = traffic_pb2.EdgePolicy()
        kept.CopyFrom(policy)
        version = len(self.limits)
        kept.MergeFrom(traffic_pb2.EdgePolicy(version=version, etag=str(version), why=why, updated_by="ada"))
        self.limits.append(kept)
        return kept


@asynccontextmanager
async def fake_control() -> AsyncIterator[FakeControl]:
    """It listens until the block ends."""
    control = FakeControl()
    server = grpc.aio.server()
    auth_pb2_grpc.add_AuthServiceServicer_to_server(_Auth(), server)
    control_pb2_grpc.add_RegistryServiceServicer_to_server(_Registry(control), server)
    traffic_pb2_grpc.add_TrafficServiceServicer_to_server(_Traffic(control), server)
    config_pb2_grpc.add_ConfigServiceServicer_to_server(_Config(control), server)
    control.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield control
    finally:
        await server.stop(0)


async def refuse(
    context: grpc.aio.ServicerContext, code: grpc.StatusCode, reason: str, **fields: str
) -> None:
    """End the call as the chain of a service does."""
    status = status_pb2.Status(code=code.value[0], message="It is refused.")
    info = error_details_pb2.ErrorInfo(reason=reason, domain="greenledger")
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=name, description=what)
        for name, what in fields.items()
    ]
    for detail in (info, error_details_pb2.BadRequest(field_violations=violations)):
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    await context.abort_with_status(rpc_status.to_status(status))


class _Auth(auth_pb2_grpc.AuthServiceServicer):
    async def Login(self, request: Any, context: Any) -> auth_pb2.TokenPair:
        header = base64.urlsafe_b64encode(json.dumps({"kid": "new"}).encode()).decode().rstrip("=")
        pair = auth_pb2.TokenPair(access_token=f"{header}.e30.x", refresh_token="r")
        pair.expires_in.seconds = 600
        return pair

    async def GetJwks(self, request: Any, context: Any) -> auth_pb2.Jwks:
        return auth_pb2.Jwks(keys=[auth_pb2.Jwk(kid=kid, alg="RS256") for kid in ("old", "new")])

    async def RotateSigningKey(self, request: Any, context: Any) -> auth_pb2.SigningKey:
        return auth_pb2.SigningKey(kid="newest")


class _Registry(control_pb2_grpc.RegistryServiceServicer):
    def __init__(self, control: FakeControl) -> None:
        self._control = control

    async def ListInstances(self, request: Any, context: Any) -> control_pb2.ListInstancesResponse:
        # One on each page.
        places = [("crops", "crops"), ("crops", "crops-canary"), ("orders", "orders")]
        found = [_instance(*place) for place in places if request.service in ("", place[0])]
        at = int(request.page_token or 0)
        return control_pb2.ListInstancesResponse(
            instances=found[at : at + 1], next_page_token=str(at + 1) if at + 1 < len(found) else ""
        )

    async def WatchInstances(
        self, request: Any, context: Any
    ) -> AsyncIterator[control_pb2.WatchInstancesResponse]:
        instances = control_pb2.InstanceList(instances=[_instance("crops", "crops")])
        told = [
            control_pb2.WatchInstancesResponse(snapshot=instances),
            control_pb2.WatchInstancesResponse(changed=_instance("crops", "crops-canary")),
            control_pb2.WatchInstancesResponse(removed="crops-canary"),
        ]
        if self._control.breaks:
            for message in told[: self._control.breaks.pop(0)]:
                yield message
            await context.abort(grpc.StatusCode.UNAVAILABLE, "It stops.")
        for message in told:
            yield message
        await refuse(context, grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")


def _instance(service: str, name: str) -> control_pb2.Instance:
    return control_pb2.Instance(
        instance_id=name,
        service=service,
        version="v2" if name.endswith("canary") else "v1",
        address="127.0.0.1",
        port=18102,
        health=control_pb2.INSTANCE_HEALTH_PASSING,
    )


class _Traffic(traffic_pb2_grpc.TrafficServiceServicer):
    def __init__(self, control: FakeControl) -> None:
        self._control = control

    async def GetTrafficPolicy(self, request: Any, context: Any) -> traffic_pb2.TrafficPolicy:
        if request.service != "crops":
            await refuse(context, grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")
        return self._control.policies[-1]

    async def ListTrafficPolicies(
        self, request: Any, context: Any
    ) -> traffic_pb2.ListTrafficPoliciesResponse:
        return traffic_pb2.ListTrafficPoliciesResponse(policies=[self._control.policies[-1]])

    async def SetTrafficPolicy(self, request: Any, context: Any) -> traffic_pb2.TrafficPolicy:
        if request.policy.retries.attempts == 5:
            await refuse(
                context,
                grpc.StatusCode.INVALID_ARGUMENT,
                "POLICY_INVALID",
                **{"policy.retries.attempts": "more than the budget allows"},
            )
        assert request.etag == self._control.policies[-1].etag
        return self._control.keep(request.policy, request.why)

    async def ShiftTraffic(self, request: Any, context: Any) -> traffic_pb2.TrafficPolicy:
        policy = traffic_pb2.TrafficPolicy(service=request.service, weights=request.weights)
        return self._control.keep(policy, request.why)

    async def ResetTrafficPolicy(self, request: Any, context: Any) -> traffic_pb2.TrafficPolicy:
        return self._control.keep(START, request.why)

    async def RollbackTrafficPolicy(self, request: Any, context: Any) -> traffic_pb2.TrafficPolicy:
        assert request.etag == self._control.policies[-1].etag
        return self._control.keep(self._control.policies[request.version], request.why)

    async def ListTrafficPolicyVersions(
        self, request: Any, context: Any
    ) -> traffic_pb2.ListTrafficPolicyVersionsResponse:
        newest = self._control.policies[:0:-1][: request.page_size]
        return traffic_pb2.ListTrafficPolicyVersionsResponse(policies=newest, original=START)

    async def GetEdgePolicy(self, request: Any, context: Any) -> traffic_pb2.EdgePolicy:
        return self._control.limits[-1]

    async def SetEdgePolicy(self, request: Any, context: Any) -> traffic_pb2.EdgePolicy:
        return self._control.keep_limits(request.policy, request.why)

    async def ResetEdgePolicy(self, request: Any, context: Any) -> traffic_pb2.EdgePolicy:
        return self._control.keep_limits(traffic_pb2.EdgePolicy(), request.why)

    async def RollbackEdgePolicy(self, request: Any, context: Any) -> traffic_pb2.EdgePolicy:
        assert request.etag == self._control.limits[-1].etag
        return self._control.keep_limits(self._control.limits[request.version], request.why)

    async def ListEdgePolicyVersions(
        self, request: Any, context: Any
    ) -> traffic_pb2.ListEdgePolicyVersionsResponse:
        newest = self._control.limits[:0:-1][: request.page_size]
        return traffic_pb2.ListEdgePolicyVersionsResponse(policies=newest, original=self._control.limits[0])


class _Config(config_pb2_grpc.ConfigServiceServicer):
    def __init__(self, control: FakeControl) -> None:
        self._control = control

    async def GetConfig(self, request: Any, context: Any) -> config_pb2.ConfigEntry:
        if request.name != "log.level":
            await refuse(context, grpc.StatusCode.NOT_FOUND, "CONFIG_NOT_FOUND")
        return self._control.values[-1]

    async def ListConfig(self, request: Any, context: Any) -> config_pb2.ListConfigResponse:
        return config_pb2.ListConfigResponse(entries=[self._control.values[-1]])

    async def SetConfig(self, request: Any, context: Any) -> config_pb2.ConfigEntry:
        return self._keep(request.value, request)

    async def ListConfigVersions(self, request: Any, context: Any) -> config_pb2.ListConfigVersionsResponse:
        return config_pb2.ListConfigVersionsResponse(versions=reversed(self._control.values[1:]))

    async def RollbackConfig(self, request: Any, context: Any) -> config_pb2.ConfigEntry:
        return self._keep(self._control.values[request.version].value, request)

    def _keep(self, value: str, request: Any) -> config_pb2.ConfigEntry:
        version = len(self._control.values)
        assert request.etag == self._control.values[-1].etag
        entry = config_pb2.ConfigEntry(
            name=request.name, value=value, version=version, etag=str(version), why=request.why
        )
        self._control.values.append(entry)
        return entry
