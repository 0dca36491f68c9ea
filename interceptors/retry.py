"""Native gRPC retries, as a service config made from the contracts.

Only here are attempts repeated; nothing above a stub tries again. Never set `timeout` in this config: it
fires 1 to 2 s early. Attempts are invisible to interceptors.

Source: gRFC A6 (client retries).
"""

import importlib
import json
from collections.abc import Iterable
from typing import Any

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import MethodDescriptor

from greenledger.options.v1 import options_pb2

_SHARED_CONTRACTS = ("greenledger.operations.v1.operations_pb2",)

_POLICY = {
    "maxAttempts": 3,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    # CANCELLED by the callee is what gRPC in a process that shuts down says of calls that have not begun.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}
# The budget: a retry spends a token, a success earns a tenth; below half of them nothing is retried.
_THROTTLE = {"maxTokens": 10, "tokenRatio": 0.1}


def service_config(services: Iterable[str]) -> str:
    """The config for a channel, as JSON: balancing, the retry budget, and retries where they are safe.

    Args:
        services: full names of the gRPC services reached over the channel; their stubs must be loaded.

    Raises:
        KeyError: a service is not known.
    """
    pool = descriptor_pool.Default()
    names = [
        {"service": service, "method": method.name}
        for service in services
        for method in pool.FindServiceByName(service).methods
        if repeatable(method)
    ]
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "retryThrottling": _THROTTLE,
    }
    if names:
        config["methodConfig"] = [{"name": names, "retryPolicy": _POLICY}]
    return json.dumps(config)


def peer_service_config(peer: str) -> str:
    """The config for the channel to a peer, whose contract is `greenledger.<peer>.v1`.

    Raises:
        ModuleNotFoundError: there is no such contract.
    """
    services: list[str] = []
    for name in (f"greenledger.{peer}.v1.{peer}_pb2", *_SHARED_CONTRACTS):
        contract: Any = importlib.import_module(name)
        services += [s.full_name for s in contract.DESCRIPTOR.services_by_name.values()]
    return service_config(services)


def repeatable(method: MethodDescriptor) -> bool:
    """Whether a second attempt does no harm, by the options of the contract; the edge asks here too.

    It is a read (bound to HTTP GET, which is safe by RFC 9110, or declared `NO_SIDE_EFFECTS`), or the server
    promises that a repeated request_id has one effect (AIP-155).

    Args:
        method: of any descriptor pool.
    """
    if method.client_streaming:
        return False
    # Read anew: the options of another pool's descriptor do not know the extensions of this one.
    options = descriptor_pb2.MethodOptions.FromString(method.GetOptions().SerializeToString())
    if options.idempotency_level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS:
        return True
    http = options.Extensions[annotations_pb2.http]
    if any(rule.WhichOneof("pattern") == "get" for rule in (http, *http.additional_bindings)):
        return True
    return options.Extensions[options_pb2.policy].idempotency != options_pb2.IDEMPOTENCY_UNSPECIFIED
