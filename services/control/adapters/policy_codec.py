"""Policies and limits: protobuf to domain and back. What a message does not give has its default."""

from dataclasses import fields
from datetime import timedelta
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from chassis.protobuf import timestamp_to_proto
from greenledger.control.v1 import traffic_pb2 as pb
from services.control.adapters.codec import duration_to_proto
from services.control.application.policy_queries import InForce
from services.control.domain.policy import (
    Balancing,
    Breaker,
    EdgePolicy,
    HeaderRoute,
    Outlier,
    RateLimit,
    Retries,
    TrafficPolicy,
    VersionWeight,
)
from services.control.domain.versioned import Versioned

_DEFAULT = TrafficPolicy("")
_DEFAULT_EDGE = EdgePolicy()
_BALANCING = {
    Balancing.ROUND_ROBIN: pb.BALANCING_METHOD_ROUND_ROBIN,
    Balancing.RING_HASH: pb.BALANCING_METHOD_RING_HASH,
}
_FROM_BALANCING = {value: method for method, value in _BALANCING.items()}
_Part = TypeVar("_Part", Retries, Breaker, Outlier)


def policy_from_proto(proto: pb.TrafficPolicy, service: str = "") -> TrafficPolicy:
    """A policy.

    Args:
        service: whose; default the one that the message names.
    """
    return TrafficPolicy(
        service=service or proto.service,
        weights=weights_from_proto(proto.weights),
        header_routes=tuple(
            HeaderRoute(route.header, route.value, route.version) for route in proto.header_routes
        ),
        balancing=_FROM_BALANCING.get(proto.balancing.method, _DEFAULT.balancing),
        ring_size=proto.balancing.ring_size or _DEFAULT.ring_size,
        retries=_part(Retries, proto.retries),
        breaker=_part(Breaker, proto.breaker),
        outlier=_part(Outlier, proto.outlier),
        max_requests=proto.limits.max_requests or None,
        timeout=proto.timeout.ToTimedelta() if proto.HasField("timeout") else _DEFAULT.timeout,
    )


def weights_from_proto(proto: Any) -> tuple[VersionWeight, ...]:
    """Shares by version."""
    return tuple(VersionWeight(entry.version, entry.weight) for entry in proto)


def policy_to_proto(policy: TrafficPolicy) -> pb.TrafficPolicy:
    """A policy with every default filled in."""
    return pb.TrafficPolicy(
        service=policy.service,
        weights=[pb.VersionWeight(version=e.version, weight=e.weight) for e in policy.weights],
        header_routes=[
            pb.HeaderRoute(header=route.header, value=route.value, version=route.version)
            for route in policy.header_routes
        ],
        balancing=pb.Balancing(method=_BALANCING[policy.balancing], ring_size=policy.ring_size),
        retries=pb.Retries(**_values(policy.retries)),
        breaker=pb.Breaker(**_values(policy.breaker)),
        outlier=pb.Outlier(**_values(policy.outlier)),
        limits=pb.Limits(max_requests=policy.max_requests) if policy.max_requests else None,
        timeout=duration_to_proto(policy.timeout),
    )


def in_force_to_proto(shown: InForce) -> pb.TrafficPolicy:
    """A policy with the version that it has."""
    return _stamped(policy_to_proto(shown.policy), shown.stored)


def edge_from_proto(proto: pb.EdgePolicy) -> EdgePolicy:
    """Limits of the edge."""
    return EdgePolicy(
        anonymous=_limit(proto, "anonymous", _DEFAULT_EDGE.anonymous),
        authenticated=_limit(proto, "authenticated", _DEFAULT_EDGE.authenticated),
        shared=proto.shared,
    )


def edge_to_proto(policy: EdgePolicy, stored: Versioned[EdgePolicy] | None = None) -> pb.EdgePolicy:
    """Limits of the edge, with the version that they have, if any."""
    proto = pb.EdgePolicy(
        anonymous=_limit_to_proto(policy.anonymous),
        authenticated=_limit_to_proto(policy.authenticated),
        shared=policy.shared,
    )
    return _stamped(proto, stored) if stored is not None else proto


_Stamped = TypeVar("_Stamped", pb.TrafficPolicy, pb.EdgePolicy)


def _stamped(proto: _Stamped, stored: Versioned[Any]) -> _Stamped:
    proto.version, proto.etag = stored.version, stored.etag
    proto.updated_by, proto.why = stored.updated_by, stored.why
    if stored.updated_at is not None:
        proto.update_time.CopyFrom(timestamp_to_proto(stored.updated_at))
    return proto


def _part(kind: type[_Part], proto: Message) -> _Part:
    """The fields of both have the same names; those that are not given, or 0, have their default."""
    given: dict[str, Any] = {
        field.name: value.ToTimedelta() if isinstance(value, Duration) else value
        for field, value in proto.ListFields()
    }
    return kind(**given)


def _values(part: Retries | Breaker | Outlier) -> dict[str, Any]:
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return {name: duration_to_proto(v) if isinstance(v, timedelta) else v for name, v in values.items()}


def _limit(proto: pb.EdgePolicy, name: str, default: RateLimit) -> RateLimit:
    if not proto.HasField(name):  # type: ignore[arg-type]  # the stubs want a literal
        return default
    given = getattr(proto, name)
    return RateLimit(given.requests, given.per.ToTimedelta() if given.HasField("per") else default.per)


def _limit_to_proto(limit: RateLimit) -> pb.RateLimit:
    return pb.RateLimit(requests=limit.requests, per=duration_to_proto(limit.per))
