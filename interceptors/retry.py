"""Which methods may be repeated, by their contracts; `attempts` repeats calls, the edge asks here too."""

from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import MethodDescriptor

from greenledger.options.v1 import options_pb2


def repeatable(method: MethodDescriptor) -> bool:
    """Whether a second attempt does no harm, by the options of the contract.

    It is a read (bound to HTTP GET, which is safe by RFC 9110, or declared `NO_SIDE_EFFECTS`), the server
    promises that a repeated request_id has one effect (AIP-155), or the contract says that none is needed.

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
