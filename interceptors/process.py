"""The chains of a service process, for `chassis.runtime.run`."""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import grpc.aio
from google.protobuf.json_format import MessageToDict
from prometheus_client import REGISTRY, CollectorRegistry

from chassis.channels import Channels
from chassis.clock import Clock
from chassis.ids import IdSource
from chassis.resilience import Callees
from chassis.runtime import Runtime
from chassis.service import Jwks, Service
from chassis.settings import Settings, SettingsError
from chassis.telemetry.tracing import Tracing
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from interceptors.admission import Admission
from interceptors.chain import client_chain, control_chain, server_chain
from interceptors.jwks import JwksSource
from interceptors.limit import PrincipalLimit
from interceptors.service_token import Token, TokenSource
from interceptors.tokens import TokenVerifier

CONTROL = "control"
SERVICE_ACCOUNTS = "service-accounts.json"
_AUTH_TIMEOUT_S = 3.0


class ProcessChain:
    """Implements `chassis.runtime.Chain` with the `auth` peer as issuer of keys and service tokens."""

    def channels(self, settings: Settings, tracing: Tracing, clock: Clock, ids: IdSource) -> Channels:
        """Channels that carry the service's own token; to `auth` without one it is fetched."""
        bare = Channels(settings.peers, tls_dir=settings.tls_dir)

        async def fetch() -> Token:
            stub = auth_pb2_grpc.AuthServiceStub(bare.get("auth"))
            request = auth_pb2.IssueServiceTokenRequest(
                account=settings.service, secret=account_secret(settings)
            )
            issued = await stub.IssueServiceToken(request, timeout=_AUTH_TIMEOUT_S)
            return Token(issued.access_token, issued.expire_time.ToDatetime(UTC))

        return outgoing_channels(settings, tracing, clock, ids, TokenSource(fetch, clock))

    def server(
        self, runtime: Runtime, service: Service
    ) -> tuple[Sequence[grpc.aio.ServerInterceptor], Admission]:
        """The server chain; keys come from the service itself when it has them."""
        admission = Admission()
        keys = JwksSource(service.jwks or _keys_of_auth(runtime), runtime.clock)
        chain = server_chain(
            verifier=TokenVerifier(keys, runtime.clock),
            tracing=runtime.tracing,
            clock=runtime.clock,
            ids=runtime.ids,
            idempotency=runtime.idempotency,
            admission=admission,
            limit=principal_limit(runtime),
            mutual_tls=runtime.settings.tls_dir is not None,
        )
        return [chain], admission


def outgoing_channels(
    settings: Settings,
    tracing: Tracing,
    clock: Clock,
    ids: IdSource,
    tokens: TokenSource,
    *,
    registry: CollectorRegistry = REGISTRY,
) -> Channels:
    """Channels to a process's peers, and to control, that carry its tokens.

    Args:
        registry: where the client chain counts; default the process's registry.
    """
    callees = Callees(clock)
    chain = client_chain(
        tracing=tracing, clock=clock, ids=ids, tokens=tokens, callees=callees, registry=registry
    )
    control = Channels(
        {address: address for address in settings.control},
        control_chain(clock=clock, ids=ids, tokens=tokens),
        tls_dir=settings.tls_dir,
        proves=CONTROL,
    )
    return Channels(
        settings.peers,
        chain,
        xds=bool(settings.xds),
        callees=callees,
        control=control,
        tls_dir=settings.tls_dir,
    )


def principal_limit(runtime: Runtime) -> PrincipalLimit:
    """The limit of a person's calls, as the settings have it and the live configuration changes it."""
    rate = runtime.settings.principal_limit
    # A burst that nobody gave is that of the rate, also of one that is set live.
    burst = 0.0 if rate.burst == max(rate.per_s, 1.0) else rate.burst
    limit = PrincipalLimit(runtime.clock, rate_per_s=rate.per_s, burst=burst)
    runtime.configuration.on("principal-limit.rate", float, limit.set_rate, rate.per_s)
    runtime.configuration.on("principal-limit.burst", float, limit.set_burst, burst)
    return limit


def account_secret(settings: Settings) -> str:
    """The secret of the service's own account.

    Raises:
        SettingsError: the secrets folder has none for it.
    """
    accounts: dict[str, Any] = json.loads(settings.secret(SERVICE_ACCOUNTS))
    secret = accounts.get(settings.service)
    if not isinstance(secret, str):
        raise SettingsError(f"{SERVICE_ACCOUNTS} has no secret for service {settings.service}")
    return secret


def _keys_of_auth(runtime: Runtime) -> Any:
    bare = Channels(runtime.settings.peers, tls_dir=runtime.settings.tls_dir)

    async def fetch() -> Jwks:
        stub = auth_pb2_grpc.AuthServiceStub(bare.get("auth"))
        answer = await stub.GetJwks(auth_pb2.GetJwksRequest(), timeout=_AUTH_TIMEOUT_S)
        return MessageToDict(answer)

    return fetch


CHAIN = ProcessChain()
"""What every service's main hands to `run`."""
