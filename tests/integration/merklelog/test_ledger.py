"""Receipts, checkpoints and proofs from the database."""

import asyncio
import json
import stat
from pathlib import Path

import pytest

from chassis.clock import SystemClock
from chassis.merklelog.answers import ForkedLogError, UnknownCheckpointError, UnknownEventError
from chassis.merklelog.documents import export_end, export_header, export_leaf, verify_export
from chassis.merklelog.keys import KeyFolder
from chassis.merklelog.ledger import Ledger
from chassis.merklelog.note import SigningKey
from chassis.merklelog.store import DamagedLogError
from chassis.merklelog.tree import EMPTY_ROOT, ProofError, verify_inclusion
from chassis.merklelog.verify import HOLDS, verify_file
from chassis.settings import SettingsError
from tests.integration.merklelog.conftest import KEY, Logged, logged_store

KEYS = [KEY.verifier]


async def test_a_receipt_can_be_had_at_once_and_holds(logged: Logged, tmp_path: Path):
    for number in range(9):
        [event] = await logged.append(f"lot-{number}")
        receipt = await logged.ledger.receipt(event.event_id)
        fields, checkpoint = receipt.verify(KEYS)
        assert (receipt.index, checkpoint.size) == (number, number + 1)
        assert fields["event_id"] == event.event_id
        assert fields["data"] == event.data
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(receipt.to_json()))
    assert verify_file(path, [str(KEY.verifier)]).status == HOLDS


async def test_an_earlier_event_gets_its_receipt_under_a_checkpoint_that_was_signed_already(logged: Logged):
    first, *_ = await logged.append(*(f"lot-{n}" for n in range(5)))
    signed = await logged.ledger.checkpoint()
    await logged.append("lot-5")
    assert (await logged.ledger.receipt(first.event_id)).checkpoint == signed.note


async def test_every_two_signed_checkpoints_are_consistent(logged: Logged):
    for number in range(20):
        await logged.append(f"lot-{number}")
        await logged.ledger.checkpoint()
    for first in range(1, 21):
        for second in (first, 20, 0):
            (await logged.ledger.consistency(first, second)).verify(KEYS)


async def test_proofs_are_asked_for_what_was_signed_and_in_order(logged: Logged):
    await logged.append("a", "b", "c")
    await logged.ledger.checkpoint()
    await logged.append("d")
    await logged.ledger.checkpoint()
    for first, second in ((1, 3), (3, 5), (0, 4)):
        with pytest.raises(UnknownCheckpointError):
            await logged.ledger.consistency(first, second)
    with pytest.raises(ProofError):
        await logged.ledger.consistency(4, 3)


async def test_an_unknown_event_has_no_receipt(logged: Logged):
    with pytest.raises(UnknownEventError):
        await logged.ledger.receipt("00000000-0000-7000-8000-000000000001")


async def test_the_empty_log_has_a_checkpoint(logged: Logged):
    head = (await logged.ledger.checkpoint()).checkpoint
    assert (head.size, head.root) == (0, EMPTY_ROOT)


async def test_two_signers_sign_the_same(logged: Logged):
    await logged.append("a", "b", "c")
    others = [logged_store(logged.database).ledger for _ in range(6)]
    notes = {signed.note for signed in await asyncio.gather(*(other.checkpoint() for other in others))}
    assert len(notes) == 1


async def test_an_export_holds(logged: Logged):
    await logged.append(*(f"lot-{n}" for n in range(300)))
    signed = await logged.ledger.checkpoint()
    lines = [json.dumps(export_leaf(*leaf)) async for leaf in logged.ledger.leaves(0, signed.checkpoint.size)]
    header = export_header(str(KEY.verifier), signed.note)["header"]
    assert verify_export(header, [*lines, json.dumps(export_end(300))], KEYS).size == 300


ALTERATIONS = {
    "a leaf": "UPDATE log_leaf SET hash = sha256('x') WHERE leaf_index = 4",
    "a node": "UPDATE log_node SET hash = sha256('x') WHERE level = 2 AND node_index = 0",
    "the signed root": "UPDATE log_checkpoint SET note = replace(note, '\n5\n', '\n4\n')",
    "lost leaves": "DELETE FROM log_leaf WHERE leaf_index >= 3; DELETE FROM log_node WHERE node_index > 0",
}


@pytest.mark.parametrize("name", ALTERATIONS)
async def test_nothing_more_is_signed_once_the_past_was_changed(logged: Logged, name: str):
    await logged.append("a", "b", "c", "d", "e")
    await logged.ledger.checkpoint()
    await logged.database.execute(ALTERATIONS[name])
    if name != "lost leaves":
        await logged.append("f")
    for ledger in (logged.ledger, logged_store(logged.database).ledger):
        with pytest.raises(ForkedLogError):
            await ledger.checkpoint()


async def test_a_signer_remembers_what_was_removed_from_the_database(logged: Logged):
    await logged.append("a", "b", "c")
    await logged.ledger.checkpoint()
    await logged.database.execute("TRUNCATE log_checkpoint, log_leaf, log_node, event")
    await logged.append("x", "y", "z", "w")
    with pytest.raises(ForkedLogError):
        await logged.ledger.checkpoint()


async def test_another_key_does_not_continue_the_log(logged: Logged):
    await logged.append("a")
    await logged.ledger.checkpoint()
    ledger = Ledger(logged.database, logged.log, SigningKey("greenledger/test", bytes(32)), SystemClock())
    with pytest.raises(ForkedLogError):
        await ledger.checkpoint()


async def test_an_altered_event_gets_no_receipt_and_no_export(logged: Logged):
    first, second = await logged.append("a", "b")
    signed = await logged.ledger.checkpoint()
    await logged.database.execute("UPDATE event SET data = data || '{\"x\": 1}' WHERE stream_id = 'b'")
    (await logged.ledger.receipt(first.event_id)).verify(KEYS)
    with pytest.raises(DamagedLogError):
        await logged.ledger.receipt(second.event_id)
    with pytest.raises(DamagedLogError):
        [leaf async for leaf in logged.ledger.leaves(0, signed.checkpoint.size)]


def test_the_signing_key_is_made_once_and_for_its_owner_only(tmp_path: Path):
    folder = KeyFolder(tmp_path, "greenledger/test")
    key = folder.current()
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(folder.current().verifier) == str(key.verifier)
    assert folder.publish([key.verifier]).read_text() == f"{key.verifier}\n"
    path.write_text("short")
    with pytest.raises(SettingsError):
        folder.current()


async def test_a_leaf_is_proven_in_every_tree_that_has_it(logged: Logged):
    await logged.append("a", "b", "c", "d", "e")
    for index in range(5):
        for size in range(index + 1, 6):
            shown = await logged.ledger.inclusion(index, size)
            verify_inclusion(shown.leaf_hash, index, size, shown.proof, shown.root)
    assert (await logged.ledger.inclusion(0)).size == 5
    for index, size in ((5, 0), (3, 3), (0, 6)):
        with pytest.raises(ProofError):
            await logged.ledger.inclusion(index, size)
