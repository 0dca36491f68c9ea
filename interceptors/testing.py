"""The real chains with keys and tokens made for a test; never imported by production code."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry

from chassis.channels import Channels
from chassis.clock import Clock
from chassis.ids import IdSource
from chassis.runtime import Runtime
from chassis.service import Service
from chassis.settings import Settings
from chassis.telemetry.tracing import Tracing
from chassis.testing.service import TokenSigner
from interceptors.admission import Admission
from interceptors.chain import server_chain
from interceptors.jwks import JwksSource
from interceptors.process import outgoing_channels, principal_limit
from interceptors.service_token import Token, TokenSource
from interceptors.status import details_of
from interceptors.tokens import TokenVerifier


class SignedChain:
    """Implements `chassis.runtime.Chain` without an `auth` service: a signer stands for it.

    Each chain counts in a registry of its own, so that several services fit into one process.

    Args:
        signer: makes the services' own tokens, and is what servers trust.
        scopes: permissions of each service's account; default none.
    """

    def __init__(self, signer: TokenSigner, scopes: Mapping[str, Iterable[str]] | None = None) -> None:
        self._signer = signer
        self._scopes = scopes or {}

    def channels(self, settings: Settings, tracing: Tracing, clock: Clock, ids: IdSource) -> Channels:
        """Channels that carry the service's own token."""

        async def fetch() -> Token:
            scope = self._scopes.get(settings.service, ())
            token = self._signer.token(settings.service, scope, "service")
            return Token(token, datetime.now(UTC) + timedelta(minutes=10))

        tokens = TokenSource(fetch, clock)
        return outgoing_channels(settings, tracing, clock, ids, tokens, registry=CollectorRegistry())

    def server(
        self, runtime: Runtime, service: Service
    ) -> tuple[Sequence[grpc.aio.ServerInterceptor], Admission]:
        """The whole server chain."""
        admission = Admission()
        keys = JwksSource(service.jwks or self._signer.jwks, runtime.clock)
        chain = server_chain(
            verifier=TokenVerifier(keys, runtime.clock),
            tracing=runtime.tracing,
            clock=runtime.clock,
            ids=runtime.ids,
            idempotency=runtime.idempotency,
            admission=admission,
            limit=principal_limit(runtime),
            mutual_tls=runtime.settings.tls_dir is not None,
            registry=CollectorRegistry(),
        )
        return [chain], admission


def reason(error: grpc.aio.AioRpcError) -> str:
    """ErrorInfo.reason of a failed call; empty when it has none."""
    info = details_of(tuple(error.trailing_metadata() or ())).get("ErrorInfo")
    return str(getattr(info, "reason", ""))
