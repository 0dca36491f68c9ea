"""`greenledger audit`: what operators did."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.commands.common import StateDir
from fleet.commands.operate import AsJson, OnlyService, as_data, of_each, operate, print_json, table, when
from fleet.commands.remote import Email, PasswordFile

if TYPE_CHECKING:
    from fleet.operator import ServiceOperations
    from greenledger.operations.v1 import operations_pb2 as pb


def audit(
    service: OnlyService = None,
    subject: Annotated[str, typer.Option("--subject", help="Only this, e.g. outbox or saga/ID.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many a service.")] = 50,
    as_json: AsJson = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show what operators did to sagas, parked events, outboxes and projections, and why; latest first."""

    async def work(operations: "ServiceOperations") -> "dict[str, list[pb.OperatorAction]]":
        return await of_each(operations, service, lambda name: _actions(operations, name, subject, limit))

    found = operate(work, state_dir, email, password_file)
    if as_json:
        print_json({name: [as_data(entry) for entry in entries] for name, entries in found.items()})
        return
    lines = [(name, entry) for name, entries in found.items() for entry in entries]
    lines.sort(key=lambda line: line[1].time.ToNanoseconds(), reverse=True)
    table(
        "Operators' actions",
        ("time", "service", "subject", "who", "what", "why"),
        ((when(entry.time), name, entry.subject, entry.who, entry.what, entry.why) for name, entry in lines),
        "Nobody did anything.",
    )


async def _actions(
    operations: "ServiceOperations", service: str, subject: str, limit: int
) -> "list[pb.OperatorAction]":
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    request = pb.ListOperatorActionsRequest(subject=subject, page_size=limit)
    return list((await operations.call(service, lambda stub: stub.ListOperatorActions, request)).actions)
