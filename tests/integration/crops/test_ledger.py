"""The log of the lots' history over its API, and its answers checked offline as they came."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from chassis.clock import SystemClock
from chassis.context import RequestContext, use
from chassis.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from chassis.merklelog.audit import Audit
from chassis.merklelog.keys import KeyFolder
from chassis.merklelog.ledger import Ledger
from chassis.merklelog.note import SigningKey
from chassis.merklelog.snapshots import SnapshotAudit
from chassis.merklelog.verify import FAILS, HOLDS, UNCONFIRMED, verify_file
from greenledger.crops.v1 import ledger_pb2 as pb
from services.crops.adapters.ledger_grpc import LedgerServicer
from services.crops.adapters.snapshots import EVERY, LOT
from tests.integration.crops.conftest import OPERATOR, Crops

NO_CONTEXT: Any = None
KEY = SigningKey("greenledger/crops", bytes(range(32)))


@pytest.fixture
def ledger(idle_crops: Crops) -> LedgerServicer:
    return served(idle_crops, Ledger(idle_crops.database, idle_crops.log, KEY, SystemClock()))


def served(crops: Crops, ledger: Ledger) -> LedgerServicer:
    """A log over its API."""
    snapshots = SnapshotAudit(crops.database, crops.store, LOT)
    return LedgerServicer(ledger, lambda: Audit(crops.database, crops.log, ledger.known_keys, snapshots))


async def mint(crops: Crops, count: int) -> list[str]:
    """Ids of the events, in the log's order."""
    for number in range(count):
        await crops.minted(f"ROM-{number}")
    return [leaf.event_id for leaf in await crops.log.leaves(0, count, count)]


def kept(folder: Path, answers: Sequence[Message]) -> Path:
    """Answers as a JSON client keeps them, one a line; zero values are printed as the edge does."""
    path = folder / "answer.json"
    shown = [MessageToDict(answer, always_print_fields_with_no_presence=True) for answer in answers]
    path.write_text("".join(json.dumps(one) + "\n" for one in shown))
    return path


async def test_a_receipt_is_had_at_once_and_holds_as_it_came(
    crops: Crops, ledger: LedgerServicer, tmp_path: Path
) -> None:
    for event_id in await mint(crops, 3):
        receipt = await ledger.GetReceipt(pb.GetReceiptRequest(event_id=event_id), NO_CONTEXT)
        assert json.loads(receipt.leaf)["event_id"] == event_id
        path = kept(tmp_path, [receipt])
        assert verify_file(path, [str(KEY.verifier)]).status == HOLDS
        path.write_text(path.read_text().replace("ROM-", "RUM-"))
        assert verify_file(path, [str(KEY.verifier)]).status == FAILS


async def test_checkpoints_and_consistency_hold_as_they_came(
    crops: Crops, ledger: LedgerServicer, tmp_path: Path
) -> None:
    await mint(crops, 3)
    first = await ledger.GetCheckpoint(pb.GetCheckpointRequest(), NO_CONTEXT)
    assert (first.origin, first.size, first.key) == ("greenledger/crops", 3, str(KEY.verifier))
    await crops.minted("ROM-9")
    request = pb.GetConsistencyProofRequest(first_size=3)
    proof = await ledger.GetConsistencyProof(request, NO_CONTEXT)
    assert verify_file(kept(tmp_path, [proof]), [str(KEY.verifier)]).status == HOLDS
    assert await ledger.GetCheckpoint(pb.GetCheckpointRequest(size=3), NO_CONTEXT) == first


async def test_an_export_holds_as_it_came(crops: Crops, ledger: LedgerServicer, tmp_path: Path) -> None:
    await mint(crops, 5)
    lines = [line async for line in ledger.ExportLog(pb.ExportLogRequest(), NO_CONTEXT)]
    assert verify_file(kept(tmp_path, lines), [str(KEY.verifier)]).status == HOLDS
    assert verify_file(kept(tmp_path, lines[:-1]), [str(KEY.verifier)]).status == FAILS
    rest = [line async for line in ledger.ExportLog(pb.ExportLogRequest(begin_index=3), NO_CONTEXT)]
    assert [line.leaf for line in rest[1:-1]] == [line.leaf for line in lines[4:-1]]


async def test_what_is_not_there_is_refused_with_its_reason(crops: Crops, ledger: LedgerServicer) -> None:
    await mint(crops, 2)
    unknown = "00000000-0000-4000-8000-000000000000"
    with pytest.raises(NotFound, match="There is no event"):
        await ledger.GetReceipt(pb.GetReceiptRequest(event_id=unknown), NO_CONTEXT)
    with pytest.raises(NotFound, match="No checkpoint"):
        await ledger.GetCheckpoint(pb.GetCheckpointRequest(size=77), NO_CONTEXT)
    for request in (
        pb.GetInclusionProofRequest(leaf_index=2),
        pb.GetInclusionProofRequest(leaf_index=0, tree_size=3),
    ):
        with pytest.raises(InvalidArgument) as refused:
            await ledger.GetInclusionProof(request, NO_CONTEXT)
        assert refused.value.reason == "LEDGER_RANGE_INVALID"
    shown = await ledger.GetInclusionProof(pb.GetInclusionProofRequest(leaf_index=0), NO_CONTEXT)
    assert (shown.leaf_index, shown.tree_size, len(shown.proof)) == (0, 2, 1)


async def audited(ledger: LedgerServicer) -> pb.AuditReport:
    *_, last = [step async for step in ledger.AuditLog(pb.AuditLogRequest(), NO_CONTEXT)]
    assert last.final
    return last.report


async def test_an_altered_event_is_named_by_the_audit_and_vouched_for_no_more(
    crops: Crops, ledger: LedgerServicer
) -> None:
    *_, third = await mint(crops, 3)
    assert not (await audited(ledger)).findings
    await crops.database.execute(
        "UPDATE event SET data = jsonb_set(data, '{lot_code}', '\"ROM-8\"') WHERE event_id = $1", third
    )
    [finding] = (await audited(ledger)).findings
    assert (finding.alteration, finding.begin_index, finding.event_id) == (pb.ALTERATION_EVENT, 2, third)
    with pytest.raises(FailedPrecondition) as refused:
        await ledger.GetReceipt(pb.GetReceiptRequest(event_id=third), NO_CONTEXT)
    assert refused.value.reason == "LEDGER_DAMAGED"


@pytest.mark.parametrize(
    ("forgery", "told"),
    [
        ("state = jsonb_set(state, '{owner_id}', '\"thief\"')", "about owner_id"),
        ("state = jsonb_set(state, '{quantity,amount}', '\"9\"')", "about quantity"),
        ("state = state - 'origin'", "about origin"),
        ("version = version + 100", "is not of its 55 events"),
    ],
    ids=["owner", "quantity", "without a field", "from the future"],
)
async def test_a_forged_snapshot_is_located_by_the_audit(
    crops: Crops, ledger: LedgerServicer, forgery: str, told: str
) -> None:
    minted = await crops.minted()
    for number in range(EVERY // 2 + 2):
        await crops.hold(OPERATOR, minted.lot_id, f"lab {number}")
        await crops.release_hold(OPERATOR, minted.lot_id, "clean")
    assert not (await audited(ledger)).findings
    await crops.database.execute(f"UPDATE snapshot SET {forgery}")
    [finding] = (await audited(ledger)).findings
    assert finding.alteration == pb.ALTERATION_SNAPSHOT
    assert minted.lot_id in finding.detail
    assert finding.detail.endswith(told)
    [leaf] = await crops.log.leaves(finding.begin_index, finding.end_index, 2)
    assert leaf.event_id == finding.event_id
    await crops.database.execute("UPDATE snapshot SET schema_version = 99")
    assert not (await audited(ledger)).findings, "what is never believed need not be right"


async def test_a_key_is_exchanged_and_everything_given_before_and_after_holds(
    crops: Crops, tmp_path: Path
) -> None:
    folder = KeyFolder(tmp_path, KEY.verifier.name)
    opened = Ledger(crops.database, crops.log, folder.current(), SystemClock(), folder)
    ledger = served(crops, opened)
    [event_id] = await mint(crops, 1)
    first = await ledger.GetCheckpoint(pb.GetCheckpointRequest(), NO_CONTEXT)
    old = await ledger.GetReceipt(pb.GetReceiptRequest(event_id=event_id), NO_CONTEXT)
    with use(RequestContext(principal=OPERATOR)):
        request = pb.RotateLogKeyRequest(request_id=str(uuid4()), why="a drill")
        keys = await ledger.RotateLogKey(request, NO_CONTEXT)
    assert await ledger.GetLogKeys(pb.GetLogKeysRequest(), NO_CONTEXT) == keys
    await crops.minted("ROM-9")
    grown = await ledger.GetConsistencyProof(pb.GetConsistencyProofRequest(first_size=1), NO_CONTEXT)
    log = [line async for line in ledger.ExportLog(pb.ExportLogRequest(), NO_CONTEXT)]
    assert keys.key != first.key
    assert (old.key, grown.key, list(grown.earlier_keys)) == (first.key, keys.key, [first.key])
    lines = [each.line for each in opened.known_keys]
    for answer in ([old], [grown], log, [keys]):
        path = kept(tmp_path, answer)
        assert verify_file(path, lines).status == HOLDS
        assert verify_file(path).status == UNCONFIRMED
    assert verify_file(kept(tmp_path, [keys]), [first.key]).status == HOLDS
    assert verify_file(kept(tmp_path, log), [first.key]).status == FAILS
    report = await audited(ledger)
    assert not report.findings
    assert report.checkpoints == 3


async def test_there_is_one_audit_at_a_time(crops: Crops, ledger: LedgerServicer) -> None:
    await mint(crops, 1)
    running = ledger.AuditLog(pb.AuditLogRequest(), NO_CONTEXT)
    await anext(running)
    with pytest.raises(ResourceExhausted):
        await audited(ledger)
    await running.aclose()  # type: ignore[attr-defined]  (a generator, though the stub says iterator)
    assert (await audited(ledger)).size == 1
