"""`greenledger sagas`: long-running operations over several services, and what to do about stuck ones."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.commands.common import StateDir
from fleet.commands.operate import (
    AsJson,
    OnlyService,
    Service,
    Why,
    Yes,
    as_data,
    confirm,
    group,
    of_each,
    operate,
    print_json,
    say,
    table,
    when,
)
from fleet.commands.remote import Email, PasswordFile
from fleet.errors import FleetError

if TYPE_CHECKING:
    from fleet.operator import ServiceOperations
    from greenledger.operations.v1 import operations_pb2 as pb

SagaId = Annotated[str, typer.Argument(help="Id of the saga, see `list`.")]

app = group("Sagas: look, retry, skip a step, turn back.")


class Wanted(StrEnum):
    """State of a saga."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"
    STUCK = "stuck"


@app.command("list")
def list_(
    service: OnlyService = None,
    state: Annotated[Wanted | None, typer.Option("--state", help="Only in this state.")] = None,
    name: Annotated[str, typer.Option("--name", help="Only this saga, e.g. checkout.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many a service.")] = 50,
    as_json: AsJson = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """List sagas, newest first; `--state stuck` for those that need somebody."""

    async def work(operations: "ServiceOperations") -> "dict[str, list[pb.SagaInstance]]":
        return await of_each(
            operations, service, lambda one: _sagas(operations, one, state, name, limit, asked=one == service)
        )

    found = operate(work, state_dir, email, password_file)
    if as_json:
        print_json({one: [as_data(saga) for saga in sagas] for one, sagas in found.items() if sagas})
        return
    table(
        "Sagas",
        ("service", "saga", "id", "state", "begun", "last change", "error"),
        (
            (
                one,
                f"{saga.name} v{saga.version}",
                saga.saga_id,
                _state(saga),
                when(saga.create_time),
                when(saga.update_time),
                saga.error or "-",
            )
            for one, sagas in found.items()
            for saga in sagas
        ),
        "There is no such saga.",
    )


@app.command("show")
def show(
    service: Service,
    saga_id: SagaId,
    as_json: AsJson = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show one saga with its steps, its data, and what operators did to it."""

    async def work(operations: "ServiceOperations") -> "tuple[pb.SagaInstance, list[pb.OperatorAction]]":
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        saga = await operations.call(service, lambda stub: stub.GetSaga, pb.GetSagaRequest(saga_id=saga_id))
        request = pb.ListOperatorActionsRequest(subject=f"saga/{saga_id}")
        listed = await operations.call(service, lambda stub: stub.ListOperatorActions, request)
        return saga, list(listed.actions)

    saga, actions = operate(work, state_dir, email, password_file)
    if as_json:
        print_json({**as_data(saga), "operatorActions": [as_data(action) for action in actions]})
        return
    say(f"{saga.name} v{saga.version} {saga.saga_id}: {_state(saga)}, begun {when(saga.create_time)}")
    if saga.error:
        say(f"Error: {saga.error}")
    say(f"Data: {json.dumps(as_data(saga.data))}")
    table(
        "Steps",
        ("step", "direction", "state", "attempts", "begun", "ended", "error"),
        (
            (
                step.name,
                step.direction,
                step.state,
                step.attempts,
                when(step.start_time),
                when(step.end_time) if step.HasField("end_time") else "-",
                step.error or "-",
            )
            for step in saga.steps
        ),
        "No step has begun.",
    )
    for action in actions:
        say(f"{when(action.time)} {action.who}: {action.what} ({action.why})")


@app.command("retry")
def retry(
    service: Service,
    saga_id: SagaId,
    why: Why,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Try the step at which a saga is stuck, or waits, once more at once."""

    async def work(operations: "ServiceOperations") -> "pb.SagaInstance":
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        request = pb.RetrySagaRequest(saga_id=saga_id, why=why)
        return await operations.call(service, lambda stub: stub.RetrySaga, request)

    _say_state(operate(work, state_dir, email, password_file))


@app.command("skip")
def skip(
    service: Service,
    saga_id: SagaId,
    step: Annotated[str, typer.Argument(help="The step at which it is stuck.")],
    why: Why,
    yes: Yes = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Take the step at which a saga is stuck as done, because you did it by hand."""

    async def work(operations: "ServiceOperations") -> "pb.SagaInstance":
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        confirm(f"Was {step} of {saga_id} done by hand? The saga goes on as if it had.", yes=yes)
        request = pb.SkipSagaStepRequest(saga_id=saga_id, step=step, why=why)
        return await operations.call(service, lambda stub: stub.SkipSagaStep, request)

    _say_state(operate(work, state_dir, email, password_file))


@app.command("compensate")
def compensate(
    service: Service,
    saga_id: SagaId,
    why: Why,
    yes: Yes = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Turn a saga back that has not passed its pivot."""

    async def work(operations: "ServiceOperations") -> "pb.SagaInstance":
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        confirm(f"Undo all that saga {saga_id} has done?", yes=yes)
        request = pb.ForceCompensateSagaRequest(saga_id=saga_id, why=why)
        return await operations.call(service, lambda stub: stub.ForceCompensateSaga, request)

    _say_state(operate(work, state_dir, email, password_file))


async def _sagas(
    operations: "ServiceOperations", service: str, state: Wanted | None, name: str, limit: int, *, asked: bool
) -> "list[pb.SagaInstance]":
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    wanted = pb.SagaState.Value(f"SAGA_STATE_{state.name}") if state else pb.SAGA_STATE_UNSPECIFIED
    request = pb.ListSagasRequest(state=wanted, name=name, page_size=limit)
    try:
        return list((await operations.call(service, lambda stub: stub.ListSagas, request)).sagas)
    except FleetError as error:
        if not asked and "NO_SAGAS" in error.sentence:
            return []  # most services orchestrate none
        raise


def _state(saga: "pb.SagaInstance") -> str:
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    return pb.SagaState.Name(saga.state).removeprefix("SAGA_STATE_").lower()


def _say_state(saga: "pb.SagaInstance") -> None:
    say(f"Saga {saga.saga_id} is {_state(saga)}.")
