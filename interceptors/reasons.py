"""Reasons of the common contract as they stand in ErrorInfo."""

from greenledger.common.v1 import errors_pb2

_PREFIX = "ERROR_REASON_"


def reason(value: errors_pb2.ErrorReason.ValueType) -> str:
    """ErrorInfo.reason of an enum value: its name without the prefix."""
    return errors_pb2.ErrorReason.Name(value).removeprefix(_PREFIX)


TOKEN_MISSING = reason(errors_pb2.ERROR_REASON_TOKEN_MISSING)
TOKEN_INVALID = reason(errors_pb2.ERROR_REASON_TOKEN_INVALID)
TOKEN_EXPIRED = reason(errors_pb2.ERROR_REASON_TOKEN_EXPIRED)
PERMISSION_DENIED = reason(errors_pb2.ERROR_REASON_PERMISSION_DENIED)
VALIDATION_FAILED = reason(errors_pb2.ERROR_REASON_VALIDATION_FAILED)
REQUEST_ID_REUSED = reason(errors_pb2.ERROR_REASON_REQUEST_ID_REUSED)
DEADLINE_EXPIRED = reason(errors_pb2.ERROR_REASON_DEADLINE_EXPIRED)
OVERLOADED = reason(errors_pb2.ERROR_REASON_OVERLOADED)
UNAVAILABLE = reason(errors_pb2.ERROR_REASON_UNAVAILABLE)
INTERNAL = reason(errors_pb2.ERROR_REASON_INTERNAL)
METHOD_UNKNOWN = reason(errors_pb2.ERROR_REASON_METHOD_UNKNOWN)
RATE_LIMITED = reason(errors_pb2.ERROR_REASON_RATE_LIMITED)
NETWORK_IDENTITY_INVALID = reason(errors_pb2.ERROR_REASON_NETWORK_IDENTITY_INVALID)
CALLER_NOT_PERMITTED = reason(errors_pb2.ERROR_REASON_CALLER_NOT_PERMITTED)
PERSON_REQUIRED = reason(errors_pb2.ERROR_REASON_PERSON_REQUIRED)
TOKEN_NOT_YOURS = reason(errors_pb2.ERROR_REASON_TOKEN_NOT_YOURS)
MALFORMED_REQUEST = reason(errors_pb2.ERROR_REASON_MALFORMED_REQUEST)
