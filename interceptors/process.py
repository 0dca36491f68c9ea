"""The chains of a service process, for `chassis.runtime.run`."""

import json
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import grpc.aio
from google.protobuf.json_format import MessageToDict

from chassis.channels import Channels
from chassis.clock import Clock
from chassis.ids import IdSource
from chassis.runtime import Runtime
from chassis.service import Jwks, Service
from chassis.settings import Settings, SettingsError
from chassis.telemetry.tracing import Tracing
from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from interceptors.admission import Admission
from interceptors.chain import client_chain, server_chain
from interceptors.jwks import JwksSource
from interceptors.limit import PrincipalLimit
from interceptors.retry import peer_service_config
from interceptors.service_token import Token, TokenSource
from interceptors.tokens import TokenVerifier

SERVICE_ACCOUNTS = "service-accounts.json"
_AUTH_TIMEOUT_S = 3.0


class ProcessChain:
    """Implements `chassis.runtime.Chain` with the `auth` peer as issuer of keys and service tokens."""

    def channels(self, settings: Settings, tracing: Tracing, clock: Clock, ids: IdSource) -> Channels:
        """Channels that carry the service's own token; to `auth` without one it is fetched."""
        bare = Channels(settings.peers)

        async def fetch() -> Token:
            stub = auth_pb2_grpc.AuthServiceStub(bare.get("auth"))
            request = auth_pb2.IssueServiceTokenRequest(
                account=settings.service, secret=account_secret(settings)
            )
            issued = await stub.IssueServiceToken(request, timeout=_AUTH_TIMEOUT_S)
            return Token(issued.access_token, issued.expire_time.ToDatetime(UTC))

        chain = client_chain(tracing=tracing, clock=clock, ids=ids, tokens=TokenSource(fetch, clock))
        return Channels(settings.peers, chain, service_config=peer_service_config)

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
        )
        return [chain], admission


def principal_limit(runtime: Runtime) -> PrincipalLimit:
    """The limit of a person's calls, as the settings have it."""
    rate = runtime.settings.principal_limit
    return PrincipalLimit(runtime.clock, rate_per_s=rate.per_s, burst=rate.burst)


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
    bare = Channels(runtime.settings.peers)

    async def fetch() -> Jwks:
        stub = auth_pb2_grpc.AuthServiceStub(bare.get("auth"))
        answer = await stub.GetJwks(auth_pb2.GetJwksRequest(), timeout=_AUTH_TIMEOUT_S)
        return MessageToDict(answer)

    return fetch


CHAIN = ProcessChain()
"""What every service's main hands to `run`."""
