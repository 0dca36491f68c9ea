"""`greenledger parked`: events that a consumer could not apply, and the keys that wait behind them."""

import json
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

if TYPE_CHECKING:
    from fleet.operator import ServiceOperations
    from greenledger.operations.v1 import operations_pb2 as pb

Topic = Annotated[str, typer.Argument(help="Topic of the event, e.g. crop.minted.")]
Key = Annotated[str, typer.Argument(help="Key of the event: the id of what it tells of.")]

app = group("Events that could not be applied: look, replay, give up.")


@app.command("list")
def list_(
    service: OnlyService = None,
    as_json: AsJson = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """List parked events with the reason; those of one key wait in their order."""

    async def work(operations: "ServiceOperations") -> "list[pb.ParkedEvent]":
        found = await of_each(operations, service, lambda name: _parked(operations, name))
        return [event for events in found.values() for event in events]

    events = operate(work, state_dir, email, password_file)
    if as_json:
        print_json([as_data(event) for event in events])
        return
    table(
        "Parked events",
        ("service", "topic", "key", "seq", "since", "tries", "reason"),
        (
            (
                event.consumer,
                event.topic,
                event.key,
                event.key_sequence,
                when(event.parked_time),
                event.attempts,
                event.reason,
            )
            for event in events
        ),
        "Nothing is parked.",
    )


@app.command("show")
def show(
    service: Service,
    topic: Topic,
    key: Key,
    as_json: AsJson = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show the parked events of one key with their content."""

    async def work(operations: "ServiceOperations") -> "pb.ParkedKey":
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        request = pb.GetParkedKeyRequest(consumer=service, topic=topic, key=key)
        return await operations.call(service, lambda stub: stub.GetParkedKey, request)

    parked = operate(work, state_dir, email, password_file)
    if as_json:
        print_json(as_data(parked))
        return
    say(f"{parked.total_events} parked events of {topic} {key} for {service}.")
    for event in parked.events:
        say("")
        say(f"seq {event.key_sequence} from {event.source}, event {event.event_id}")
        say(f"  parked   {when(event.parked_time)}, after {event.attempts} tries")
        say(f"  reason   {event.reason}")
        content = json.dumps(as_data(event.payload)) if event.HasField("payload") else "cannot be decoded"
        say(f"  content  {content}")


@app.command("replay")
def replay(
    service: Service,
    topic: Topic,
    key: Key,
    why: Why,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Apply a key's parked events again, in order; stops at the first that fails again."""

    async def work(operations: "ServiceOperations") -> None:
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        request = pb.ReplayParkedKeyRequest(consumer=service, topic=topic, key=key, why=why)
        await operations.call(service, lambda stub: stub.ReplayParkedKey, request)

    operate(work, state_dir, email, password_file)
    say(f"{topic} {key} is applied and free again in {service}.")


@app.command("discard")
def discard(
    service: Service,
    topic: Topic,
    key: Key,
    event_id: Annotated[str, typer.Argument(help="Id of the key's first parked event.")],
    why: Why,
    yes: Yes = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Give up on the first parked event of a key; those behind it wait for `replay`."""

    async def work(operations: "ServiceOperations") -> None:
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        confirm(f"Give up on event {event_id} in {service}? It will never be applied.", yes=yes)
        request = pb.DiscardParkedEventRequest(
            consumer=service, topic=topic, key=key, event_id=event_id, why=why
        )
        await operations.call(service, lambda stub: stub.DiscardParkedEvent, request)

    operate(work, state_dir, email, password_file)
    say(f"Event {event_id} is given up.")


@app.command("skip")
def skip(
    service: Service,
    topic: Topic,
    key: Key,
    to: Annotated[int, typer.Option("--to", min=2, help="Sequence of the event to be applied next.")],
    why: Why,
    source: Annotated[
        str, typer.Option("--source", help="Service that publishes it, where several have this key.")
    ] = "",
    yes: Yes = False,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Move a key on to a sequence, giving up what comes before it.

    For a parked key, and for one that waits for events which nobody has any more.
    """

    async def work(operations: "ServiceOperations") -> None:
        from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

        confirm(
            f"Go on with event {to} of {topic} {key} in {service}? What comes before it and is not applied "
            "yet never will be.",
            yes=yes,
        )
        request = pb.SkipToEventRequest(
            consumer=service, topic=topic, key=key, source=source, sequence=to, why=why
        )
        await operations.call(service, lambda stub: stub.SkipToEvent, request)

    operate(work, state_dir, email, password_file)
    say(f"The next event of {topic} {key} that {service} applies is {to}.")


async def _parked(operations: "ServiceOperations", service: str) -> "list[pb.ParkedEvent]":
    from greenledger.operations.v1 import operations_pb2 as pb  # noqa: PLC0415

    events: list[pb.ParkedEvent] = []
    token = ""
    while True:
        request = pb.ListParkedEventsRequest(page_size=1000, page_token=token)
        page = await operations.call(service, lambda stub: stub.ListParkedEvents, request)
        events.extend(page.parked_events)
        token = page.next_page_token
        if not token:
            return events
