"""`greenledger ledger`: ask the tamper-evident log of lots; what it prints can be given to `verify`."""

import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from fleet.commands.common import StateDir
from fleet.commands.remote import EdgeUrl, Email, PasswordFile, at_edge

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from chassis.merklelog.note import VerifierKey
    from fleet.client import RpcEdge, Session
    from greenledger.crops.v1 import ledger_pb2

app = typer.Typer(
    help="Ask the tamper-evident log of lots; check what it gives with `greenledger verify`.",
    no_args_is_help=True,
)

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write; default standard output.")
]
Size = Annotated[
    int, typer.Option("--size", min=0, help="Leaves of a log that was signed earlier; default now.")
]


@app.command("checkpoint")
def checkpoint(
    size: Size = 0,
    key: Annotated[bool, typer.Option("--key", help="Print the log's public keys instead.")] = False,
    output: Output = None,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Print the log's signed tree head. Keep it: no later log can contradict it unnoticed."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from greenledger.crops.v1 import ledger_pb2  # noqa: PLC0415

        if key:
            keys = await edge.call(edge.ledger.GetLogKeys, ledger_pb2.GetLogKeysRequest(), session)
            _write(output, "".join(f"{each.line}\n" for each in ring_of(keys)))
            return
        request = ledger_pb2.GetCheckpointRequest(size=size)
        signed = await edge.call(edge.ledger.GetCheckpoint, request, session)
        _write(output, signed.note)

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("keys")
def keys(
    output: Output = None,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Print how the log's keys took over from one another: who trusts one of them can check the others."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from greenledger.crops.v1 import ledger_pb2  # noqa: PLC0415

        found = await edge.call(edge.ledger.GetLogKeys, ledger_pb2.GetLogKeysRequest(), session)
        _write(output, _line(found))

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("rotate-key")
def rotate_key(
    why: Annotated[str, typer.Option("--why", help="For the audit of operators' actions.")],
    output: Output = None,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Let a new key sign the log from now on. Prints the handover for those who know the old one."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from greenledger.crops.v1 import ledger_pb2  # noqa: PLC0415

        request = ledger_pb2.RotateLogKeyRequest(request_id=str(uuid4()), why=why)
        keys = await edge.call(edge.ledger.RotateLogKey, request, session)
        _write(output, keys.handovers[-1])

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("receipt")
def receipt(
    event: Annotated[str, typer.Argument(help="An event's id, as in a lot's history.")],
    output: Output = None,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Print the receipt of an event."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from greenledger.crops.v1 import ledger_pb2  # noqa: PLC0415

        request = ledger_pb2.GetReceiptRequest(event_id=event)
        receipt = await edge.call(edge.ledger.GetReceipt, request, session)
        _write(output, _line(receipt))

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("consistency")
def consistency(
    first: Annotated[int, typer.Argument(min=1, help="Leaves of the older log, whose head was signed.")],
    size: Size = 0,
    output: Output = None,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Print the proof that the log has only grown since an older checkpoint."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from greenledger.crops.v1 import ledger_pb2  # noqa: PLC0415

        request = ledger_pb2.GetConsistencyProofRequest(first_size=first, second_size=size)
        proof = await edge.call(edge.ledger.GetConsistencyProof, request, session)
        _write(output, _line(proof))

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("export")
def export(
    size: Size = 0,
    output: Output = None,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Print the whole log, one JSON object a line."""

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        from greenledger.crops.v1 import ledger_pb2  # noqa: PLC0415

        request = ledger_pb2.ExportLogRequest(tree_size=size)
        lines = edge.watch(edge.ledger.ExportLog, request, session)
        if output is None:
            await _copy(lines, sys.stdout.write)
        else:
            with output.open("w") as file:
                await _copy(lines, file.write)

    at_edge(ask, edge_url, email, password_file, state_dir)


@app.command("audit")
def audit(
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Recompute the log from the stored events. Exits with status 1 when something was altered."""
    altered = False

    async def ask(edge: "RpcEdge", session: "Session") -> None:
        nonlocal altered
        from greenledger.crops.v1 import ledger_pb2  # noqa: PLC0415

        async for step in edge.watch(edge.ledger.AuditLog, ledger_pb2.AuditLogRequest(), session):
            if step.final:
                altered = _show(step.report)
            else:
                typer.echo(f"{step.done} of {step.total} leaves", err=True)

    at_edge(ask, edge_url, email, password_file, state_dir)
    raise typer.Exit(1 if altered else 0)


def ring_of(keys: "ledger_pb2.LogKeys") -> "list[VerifierKey]":
    """The public keys of a log, the oldest first, each with the size that it speaks for."""
    from chassis.merklelog.documents import Keys  # noqa: PLC0415
    from chassis.merklelog.note import VerifierKey  # noqa: PLC0415

    return Keys(keys.key, tuple(keys.handovers)).verify([VerifierKey.parse(keys.key)])


def _show(report: "ledger_pb2.AuditReport") -> bool:
    """Print a report; whether something was altered."""
    from greenledger.crops.v1 import ledger_pb2  # noqa: PLC0415

    for finding in report.findings:
        kind = ledger_pb2.Alteration.Name(finding.alteration).removeprefix("ALTERATION_").lower()
        last = finding.end_index - 1
        where = f"leaf {finding.begin_index}" + (f" to {last}" if last > finding.begin_index else "")
        event = f", event {finding.event_id}" if finding.event_id else ""
        typer.echo(f"{kind}: {where}{event}: {finding.detail}")
    if report.findings:
        typer.echo("There is more." if report.more else f"{len(report.findings)} findings.")
        return True
    typer.echo(
        f"All {report.size} events are as they were recorded; {report.checkpoints} signed heads agree. "
        f"Root {report.root_hash.hex()}."
    )
    return False


async def _copy(lines: "AsyncIterator[Message]", write: Callable[[str], object]) -> None:
    async for line in lines:
        write(_line(line))


def _line(message: "Message") -> str:
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    shown = MessageToDict(message, always_print_fields_with_no_presence=True)
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":")) + "\n"


def _write(output: Path | None, text: str) -> None:
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text)
