"""The RPCs of the tamper-evident log: decode, ask the mechanism, encode."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

import grpc.aio

from chassis.audit import Order
from chassis.context import caller
from chassis.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from chassis.merklelog.answers import (
    ForkedLogError,
    SignedCheckpoint,
    UnknownCheckpointError,
    UnknownEventError,
)
from chassis.merklelog.audit import Audit, AuditProgress, AuditReport, Kind
from chassis.merklelog.documents import CONSISTENCY_FORMAT, EXPORT_FORMAT, KEYS_FORMAT, RECEIPT_FORMAT
from chassis.merklelog.ledger import Ledger
from chassis.merklelog.store import DamagedLogError
from chassis.merklelog.tree import ProofError
from greenledger.crops.v1 import ledger_pb2 as pb
from greenledger.crops.v1 import ledger_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]

_ALTERATIONS = {
    Kind.EVENT: pb.ALTERATION_EVENT,
    Kind.LEAF: pb.ALTERATION_LEAF,
    Kind.NODE: pb.ALTERATION_NODE,
    Kind.MISSING: pb.ALTERATION_MISSING,
    Kind.EXTRA: pb.ALTERATION_EXTRA,
    Kind.CHECKPOINT: pb.ALTERATION_CHECKPOINT,
    Kind.SNAPSHOT: pb.ALTERATION_SNAPSHOT,
}
_PROGRESS_EVERY = 16  # batches of the audit


class LedgerServicer(ledger_pb2_grpc.LedgerServiceServicer):
    """What outsiders and auditors ask of the log."""

    def __init__(self, ledger: Ledger, audit: Callable[[], Audit]) -> None:
        self._ledger = ledger
        self._audit = audit
        self._auditing = False

    async def GetCheckpoint(self, request: pb.GetCheckpointRequest, context: Context) -> pb.Checkpoint:
        with _reasons():
            signed = await self._signed(request.size)
        head = signed.checkpoint
        key = str(signed.key)
        return pb.Checkpoint(
            origin=head.origin, key=key, size=head.size, root_hash=head.root, note=signed.note
        )

    async def GetLogKeys(self, request: pb.GetLogKeysRequest, context: Context) -> pb.LogKeys:
        with _reasons():
            handovers = await self._ledger.handovers()
        return self._keys([each.note for each in handovers])

    async def RotateLogKey(self, request: pb.RotateLogKeyRequest, context: Context) -> pb.LogKeys:
        with _reasons():
            former = await self._ledger.handovers()
            made = await self._ledger.rotate(Order(caller().subject, request.why))
        return self._keys([*(each.note for each in former), made.note], str(made.next))

    def _keys(self, handovers: list[str], key: str = "") -> pb.LogKeys:
        key = key or str(self._ledger.verifier)
        origin = self._ledger.verifier.name
        return pb.LogKeys(format=KEYS_FORMAT, origin=origin, key=key, handovers=handovers)

    async def GetInclusionProof(
        self, request: pb.GetInclusionProofRequest, context: Context
    ) -> pb.InclusionProof:
        with _reasons():
            shown = await self._ledger.inclusion(request.leaf_index, request.tree_size)
        return pb.InclusionProof(
            leaf_index=shown.index,
            leaf_hash=shown.leaf_hash,
            tree_size=shown.size,
            root_hash=shown.root,
            proof=shown.proof,
        )

    async def GetConsistencyProof(
        self, request: pb.GetConsistencyProofRequest, context: Context
    ) -> pb.ConsistencyProof:
        with _reasons():
            bundle = await self._ledger.consistency(request.first_size, request.second_size)
        return pb.ConsistencyProof(
            format=CONSISTENCY_FORMAT,
            origin=self._ledger.verifier.name,
            key=bundle.key,
            first=bundle.first,
            second=bundle.second,
            proof=bundle.proof,
            earlier_keys=bundle.earlier_keys,
        )

    async def GetReceipt(self, request: pb.GetReceiptRequest, context: Context) -> pb.Receipt:
        with _reasons():
            receipt = await self._ledger.receipt(request.event_id)
        return pb.Receipt(
            format=RECEIPT_FORMAT,
            origin=self._ledger.verifier.name,
            key=receipt.key,
            leaf=receipt.leaf.decode(),
            leaf_index=receipt.index,
            tree_size=receipt.size,
            inclusion_proof=receipt.proof,
            checkpoint=receipt.checkpoint,
        )

    async def ExportLog(
        self, request: pb.ExportLogRequest, context: Context
    ) -> AsyncIterator[pb.ExportLogResponse]:
        with _reasons():
            signed = await self._signed(request.tree_size)
            key, size = signed.key, signed.checkpoint.size
            yield pb.ExportLogResponse(
                header=pb.ExportHeader(
                    format=EXPORT_FORMAT, origin=key.name, key=str(key), checkpoint=signed.note
                )
            )
            async with aclosing(self._ledger.leaves(request.begin_index, size)) as leaves:
                async for index, leaf in leaves:
                    yield pb.ExportLogResponse(leaf=pb.ExportedLeaf(leaf_index=index, leaf=leaf.decode()))
        yield pb.ExportLogResponse(end=pb.ExportEnd(leaves=size))

    async def AuditLog(
        self, request: pb.AuditLogRequest, context: Context
    ) -> AsyncIterator[pb.AuditLogResponse]:
        if self._auditing:
            raise ResourceExhausted("OVERLOADED", "An audit is under way here; one at a time.")
        self._auditing = True
        try:
            await self._ledger.open()  # another process may have exchanged the key
            async with aclosing(self._audit().run()) as steps:
                batches = 0
                async for step in steps:
                    batches += 1
                    if step.report is not None or batches % _PROGRESS_EVERY == 0:
                        yield _progress(step)
        finally:
            self._auditing = False

    async def _signed(self, size: int) -> SignedCheckpoint:
        return await (self._ledger.kept(size) if size else self._ledger.checkpoint())


@contextmanager
def _reasons() -> Iterator[None]:
    try:
        yield
    except UnknownEventError as error:
        raise NotFound("LEDGER_EVENT_NOT_FOUND", _sentence(error)) from error
    except UnknownCheckpointError as error:
        raise NotFound("LEDGER_CHECKPOINT_NOT_FOUND", _sentence(error)) from error
    except ProofError as error:
        raise InvalidArgument("LEDGER_RANGE_INVALID", _sentence(error)) from error
    except (ForkedLogError, DamagedLogError) as error:
        # What exactly was found is for the operator's log and the audit.
        raise FailedPrecondition(
            "LEDGER_DAMAGED", "The log cannot vouch for this: what is stored is not what was signed."
        ) from error


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _progress(step: AuditProgress) -> pb.AuditLogResponse:
    response = pb.AuditLogResponse(done=step.done, total=step.total)
    if step.report is not None:
        response.final = True
        response.report.CopyFrom(_report(step.report))
    return response


def _report(report: AuditReport) -> pb.AuditReport:
    return pb.AuditReport(
        size=report.size,
        root_hash=report.root or b"",
        checkpoints=report.checkpoints,
        findings=[
            pb.AuditFinding(
                alteration=_ALTERATIONS[finding.kind],
                begin_index=finding.index,
                end_index=finding.until,
                event_id=finding.event_id,
                detail=finding.detail,
            )
            for finding in report.findings
        ],
        more=report.more,
    )
