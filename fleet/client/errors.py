"""What a refused call says, the same for JSON and gRPC (AIP-193)."""

from collections.abc import Mapping
from typing import Any

import grpc
import grpc.aio
from google.rpc import error_details_pb2, status_pb2

_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_DETAILS_KEY = "grpc-status-details-bin"
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class CallFailed(Exception):
    """The fleet answered with an error, or not at all.

    Args:
        code: canonical code, e.g. `FAILED_PRECONDITION`.
        reason: `ErrorInfo.reason`, e.g. `OUT_OF_STOCK`; empty when the answer carries none.
        message: for people.
        metadata: of the ErrorInfo.
        http_status: status of a JSON reply; None for gRPC.
        violations: of the BadRequest, by field.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        http_status: int | None = None,
        violations: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{reason or code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.http_status = http_status
        self.violations = dict(violations or {})

    @classmethod
    def from_json(cls, http_status: int, body: Any) -> "CallFailed":
        """From the body of a JSON reply; anything that is not our shape is UNKNOWN."""
        if not isinstance(body, dict) or "code" not in body:
            return cls("UNKNOWN", "", f"HTTP {http_status}", http_status=http_status)
        info: Any = next(
            (entry for entry in body.get("details", ()) if entry.get("@type") == _ERROR_INFO), {}
        )
        return cls(
            _NAMES.get(body["code"], "UNKNOWN"),
            info.get("reason", ""),
            body.get("message", ""),
            metadata=info.get("metadata"),
            http_status=http_status,
        )

    @classmethod
    def from_rpc(cls, error: grpc.aio.AioRpcError) -> "CallFailed":
        """From what a stub raised.

        CANCELLED that the caller did not wish (then it is an `asyncio.CancelledError`) is UNAVAILABLE: gRPC
        in a service that stops says so of calls that it has not begun. The edge puts it right by itself.
        """
        info: Any = error_details_pb2.ErrorInfo()
        bad: Any = error_details_pb2.BadRequest()
        for key, value in error.trailing_metadata() or ():
            if key == _DETAILS_KEY and isinstance(value, bytes):
                status = status_pb2.Status.FromString(value)
                for detail in status.details:
                    detail.Unpack(info) or detail.Unpack(bad)
        gone = error.code() is grpc.StatusCode.CANCELLED and not info.reason
        code = grpc.StatusCode.UNAVAILABLE if gone else error.code()
        violations = {entry.field: entry.description for entry in bad.field_violations}
        return cls(
            code.name, info.reason, error.details() or "", metadata=info.metadata, violations=violations
        )
