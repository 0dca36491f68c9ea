"""Limits of each client at the edge."""

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from chassis import edge_limits
from services.control.adapters.xds import stubs
from services.control.adapters.xds.grpc_clients import packed
from services.control.domain.policy import EdgePolicy


def share(host: Any, policy: EdgePolicy) -> None:
    """Write limits that several proxies share into a virtual host."""
    actions = edge_limits.client_actions(policy.anonymous, policy.authenticated)
    if policy.shared and actions:
        shared = json_format.ParseDict({"rate_limits": actions}, stubs.RateLimitPerRoute())
        host.typed_per_filter_config[edge_limits.SHARED_FILTER].CopyFrom(packed(shared))


def local_limit(policy: EdgePolicy) -> Message:
    """Settings of the filter by which one proxy counts for itself; those of no limit where others count.

    A resource of their own, by the name of the filter, since Envoy gives every client a new quota whenever it
    takes them anew: in a virtual host that would be at each change of any route.
    """
    own = edge_limits.local_limit(policy.anonymous, policy.authenticated)
    local = json_format.ParseDict(edge_limits.no_limit() if policy.shared else own, stubs.LocalRateLimit())
    limit: Message = stubs.TypedExtensionConfig(name=edge_limits.LOCAL_FILTER, typed_config=packed(local))
    return limit
