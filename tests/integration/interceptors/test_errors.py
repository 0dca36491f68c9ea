"""Errors of handlers as they arrive at a client."""

from datetime import timedelta
from typing import Any

import asyncpg
import grpc
import pytest
from confluent_kafka import KafkaError, KafkaException

from chassis import errors
from chassis.errors import KINDS, DomainError, Violation
from interceptors.status import STATUS_CODES, details_of
from tests.integration.interceptors.harness import OPERATIONS, Operations, Server, reason, saga_request, serve

SECRET = "postgresql://orders:hunter2@10.0.0.5/orders"


async def fails(server: Server, operations: Operations, error: BaseException) -> grpc.aio.AioRpcError:
    async def behaviour(_request: Any, _context: Any) -> None:
        raise error

    operations.behaviour = behaviour
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await server.operations.GetSaga(saga_request(), metadata=server.authorized())
    return caught.value


def test_every_kind_of_domain_error_has_a_status() -> None:
    assert set(STATUS_CODES) == set(KINDS)
    assert len(set(STATUS_CODES.values())) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_arrives_with_its_status_reason_and_metadata(kind: type[DomainError]) -> None:
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        error = await fails(server, operations, kind("LOT_ODD", "The lot is odd.", metadata={"lot": "7"}))
    info: Any = details_of(error.trailing_metadata())["ErrorInfo"]
    assert error.code() is STATUS_CODES[kind]
    assert error.details() == "The lot is odd."
    assert (info.reason, info.domain, dict(info.metadata)) == ("LOT_ODD", "greenledger", {"lot": "7"})


async def test_details_say_which_fields_what_resource_and_when_to_retry() -> None:
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        violations = [Violation("items[0].amount", "must be positive")]
        invalid = await fails(
            server,
            operations,
            errors.InvalidArgument(
                "BAD",
                "Bad.",
                violations=violations,
                retry_after=timedelta(seconds=2),
                resource=("greenledger/Lot", "lot-1"),
            ),
        )
        refused = await fails(
            server, operations, errors.FailedPrecondition("SOLD_OUT", "Gone.", violations=violations)
        )
    found: dict[str, Any] = details_of(invalid.trailing_metadata())
    assert found["BadRequest"].field_violations[0].field == "items[0].amount"
    assert found["RetryInfo"].retry_delay.seconds == 2
    assert found["ResourceInfo"].resource_name == "lot-1"
    failure: Any = details_of(refused.trailing_metadata())["PreconditionFailure"]
    assert (failure.violations[0].type, failure.violations[0].subject) == ("SOLD_OUT", "items[0].amount")


async def test_a_thousand_violations_still_fit_into_the_trailers() -> None:
    operations = Operations()
    many = [Violation(f"items[{n}].name", "é" * 300) for n in range(1000)]
    async with serve((OPERATIONS, operations)) as server:
        error = await fails(server, operations, errors.InvalidArgument("BAD", "ö" * 5000, violations=many))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error) == "BAD"
    assert len(details_of(error.trailing_metadata())["BadRequest"].field_violations) > 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "error",
    [
        ValueError(SECRET),
        KeyError(SECRET),
        TimeoutError(SECRET),
        OSError(SECRET),
        asyncpg.UndefinedTableError(SECRET),
        type("Odd", (Exception,), {})(SECRET),
    ],
)
async def test_an_unknown_exception_is_an_incident_and_says_nothing_else(
    error: Exception,
) -> None:
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        failed = await fails(server, operations, error)
    info: Any = details_of(failed.trailing_metadata())["ErrorInfo"]
    assert failed.code() is grpc.StatusCode.INTERNAL
    assert info.reason == "INTERNAL"
    assert set(info.metadata) == {"incident_id"}
    assert info.metadata["incident_id"] in (failed.details() or "")
    everything = repr(
        (failed.details(), tuple(failed.trailing_metadata() or ()), failed.debug_error_string())
    )
    for part in ("hunter2", "orders:", "Traceback", type(error).__name__):
        assert part not in everything


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(SECRET),
        asyncpg.ConnectionDoesNotExistError(SECRET),
        asyncpg.CannotConnectNowError(SECRET),
        KafkaException(KafkaError(KafkaError._ALL_BROKERS_DOWN)),
    ],
)
async def test_an_outage_of_database_or_broker_is_unavailable_without_its_text(error: Exception) -> None:
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        failed = await fails(server, operations, error)
    assert failed.code() is grpc.StatusCode.UNAVAILABLE
    assert "hunter2" not in repr(failed)


async def test_a_path_that_is_not_served_is_unimplemented_with_a_reason() -> None:
    async with serve((OPERATIONS, Operations())) as server:
        for path in ("/greenledger.operations.v1.OperationsService/Nothing", "/no.Such/Method"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await server.channel.unary_unary(path)(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert reason(caught.value) == "METHOD_UNKNOWN"


async def test_a_handler_that_sets_a_status_itself_keeps_it() -> None:
    operations = Operations()

    async def behaviour(_request: Any, context: Any) -> None:
        await context.abort(grpc.StatusCode.DATA_LOSS, "lost")

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.operations.GetSaga(saga_request(), metadata=server.authorized())
    handled = server.registry.get_sample_value(
        "grpc_server_handled_total",
        {
            "grpc_type": "unary",
            "grpc_service": "greenledger.operations.v1.OperationsService",
            "grpc_method": "GetSaga",
            "grpc_code": "DATA_LOSS",
        },
    )
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "lost")
    assert handled == 1


async def test_an_answer_of_the_wrong_type_is_an_incident() -> None:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> str:
        return SECRET

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.operations.GetSaga(saga_request(), metadata=server.authorized())
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "hunter2" not in repr(caught.value)
    assert reason(caught.value) == "INTERNAL"


async def test_a_handler_that_is_not_async_is_an_incident_not_a_thread() -> None:
    class Plain(Operations):
        def GetSaga(self, request: Any, context: Any) -> Any:  # type: ignore[override]
            raise AssertionError("must not run")

    async with serve((OPERATIONS, Plain())) as server:
        for _ in range(2):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await server.operations.GetSaga(saga_request(), metadata=server.authorized())
            assert reason(caught.value) == "INTERNAL"


async def test_every_failure_names_the_request_in_its_trailers() -> None:
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.operations.GetSaga(saga_request(), metadata=(("x-request-id", "req-7"),))
    assert ("x-request-id", "req-7") in list(caught.value.trailing_metadata() or ())
