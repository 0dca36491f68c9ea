"""`greenledger outbox`: how far relays are, and sending all of it again."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.commands.common import StateDir
from fleet.commands.operate import (
    AsJson,
    NoWait,
    OnlyService,
    Service,
    Why,
    Yes,
    as_data,
    confirm,
    follow,
    group,
    of_each,
    operate,
    print_json,
    say,
    table,
)
from fleet.commands.remote import Email, PasswordFile

if TYPE_CHECKING:
    from fleet.operator import ServiceOperations
    from greenledger.operations.v1 import operations_pb2 as pb

app = group("Events on their way to the broker: how far they are, and sending them again.")


@app.command("status")
def status(
    service: OnlyService = None,
    as_json: AsJson = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show where each service's relay is, how far the broker is behind, and whether a resend is under way."""

    async def work(operations: "ServiceOperations") -> "dict[str, pb.OutboxStatus]":
        return await of_each(operations, service, lambda name: _outbox(operations, name))

    found = operate(work, state_dir, email, password_file)
    if as_json:
        print_json({name: as_data(entry) for name, entry in found.items()})
        return
    table(
        "Outboxes",
        ("service", "unsent", "oldest", "position", "head", "epoch", "sends", "resend"),
        (
            (
                name,
                entry.lag_rows,
                f"{entry.lag_seconds:.1f} s" if entry.lag_rows else "-",
                entry.position,
                entry.head_position,
                entry.epoch,
                "yes" if entry.leading else "no",
                _resend(entry),
            )
            for name, entry in found.items()
        ),
        "No service runs.",
    )


@app.command("resend")
def resend(
    service: Service,
    why: Why,
    topic: Annotated[str, typer.Option("--topic", help="Only this topic; default all.")] = "",
    yes: Yes = False,
    no_wait: NoWait = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Send a service's events again, from the first one, to a broker or for a consumer that has lost them.

    Consumers drop what they have applied. New events of the service wait behind those that are sent again,
    so that order is kept.
    """

    async def work(operations: "ServiceOperations") -> "pb.OutboxStatus":
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        before = await _outbox(operations, service)
        what = f"the events of {topic}" if topic else "all events"
        confirm(
            f"Send {what} of {service} again, up to position {before.position}? Its new events wait until "
            "then.",
            yes=yes,
        )
        request = pb.ResendOutboxRequest(topic=topic, why=why)
        begun = await operations.call(service, lambda stub: stub.ResendOutbox, request)
        if no_wait:
            return begun

        async def position() -> tuple[int, int, bool]:
            at = await _outbox(operations, service)
            ended = not at.HasField("resend") or at.resend.finished
            return min(at.position, begun.resend.until_position), begun.resend.until_position, ended

        await follow(
            f"Sending {service} again",
            position,
            f"The resend goes on; see `greenledger outbox status`, end it with `greenledger outbox cancel "
            f"{service}`.",
        )
        return await _outbox(operations, service)

    at = operate(work, state_dir, email, password_file)
    if at.HasField("resend") and at.resend.finished:
        say(f"{service} has sent everything up to position {at.resend.until_position} again.")
    elif at.HasField("resend"):
        say(f"{service} sends everything up to position {at.resend.until_position} again.")
    else:
        say("The resend was cancelled, or the broker has begun another life, which gets everything anyway.")


@app.command("cancel")
def cancel(
    service: Service,
    why: Why,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """End a resend where it is; the service goes on with what was never sent."""

    async def work(operations: "ServiceOperations") -> None:
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        request = pb.CancelOutboxResendRequest(why=why)
        await operations.call(service, lambda stub: stub.CancelOutboxResend, request)

    operate(work, state_dir, email, password_file)
    say(f"The resend of {service} is cancelled.")


async def _outbox(operations: "ServiceOperations", service: str) -> "pb.OutboxStatus":
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    return await operations.call(service, lambda stub: stub.GetOutbox, pb.GetOutboxRequest())


def _resend(entry: "pb.OutboxStatus") -> str:
    if not entry.HasField("resend") or entry.resend.finished:
        return "-"
    return f"{entry.resend.topic or 'all topics'}, at {entry.position} of {entry.resend.until_position}"
