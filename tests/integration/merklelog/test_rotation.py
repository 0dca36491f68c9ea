"""The signing key is exchanged while processes sign; what was signed before keeps verifying."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from chassis.audit import Order, actions
from chassis.clock import SystemClock
from chassis.merklelog.answers import ForkedLogError
from chassis.merklelog.audit import Audit, AuditReport, Kind
from chassis.merklelog.keys import KeyFolder
from chassis.merklelog.ledger import Ledger
from chassis.merklelog.note import Note, VerifierKey
from chassis.merklelog.verify import HOLDS, UNCONFIRMED, verify_file
from chassis.schema import AUDIT_V1
from tests.integration.merklelog.conftest import Logged

ORIGIN = "greenledger/test"
ORDER = Order("operator", "the disk was stolen")


async def _ledger(logged: Logged, folder: Path) -> Ledger:
    """One more process with the same secrets."""
    keys = KeyFolder(folder, ORIGIN)
    ledger = Ledger(logged.database, logged.log, keys.current(), SystemClock(), keys)
    await ledger.open()
    return ledger


@pytest.fixture
async def ledger(logged: Logged, tmp_path: Path) -> Ledger:
    await logged.database.execute(AUDIT_V1)
    return await _ledger(logged, tmp_path)


async def _audited(logged: Logged, keys: Sequence[VerifierKey]) -> AuditReport:
    steps = [step async for step in Audit(logged.database, logged.log, keys).run()]
    report = steps[-1].report
    assert report is not None
    return report


def _signers(note: str) -> set[bytes]:
    return {line.key_id for line in Note.parse(note).signatures}


async def test_old_receipts_verify_with_the_old_key_and_new_ones_with_the_new(
    logged: Logged, ledger: Ledger, tmp_path: Path
) -> None:
    [first] = await logged.append("a")
    old_key, old = ledger.verifier, await ledger.receipt(first.event_id)
    made = await ledger.rotate(ORDER)
    assert _signers(made.note) == {old_key.key_id, ledger.verifier.key_id}
    [second] = await logged.append("b")
    new = await ledger.receipt(second.event_id)
    assert (old.key, new.key) == (str(old_key), str(ledger.verifier))
    assert old.key != new.key
    assert (await ledger.receipt(first.event_id)).key == new.key, "under the newest head"
    path, pub = tmp_path / "file", tmp_path / "log-signing.greenledger-test.pub"
    bundle = await ledger.consistency(1, 2)
    every = str(pub)
    for document, key in ((old, old.key), (new, new.key), (old, every), (new, every), (bundle, every)):
        path.write_text(json.dumps(document.to_json()))
        assert verify_file(path, [key]).status == HOLDS
        assert verify_file(path).status == UNCONFIRMED
    assert pub.read_text().splitlines() == [f"{old_key} until 1", str(ledger.verifier)]
    [action] = await actions(logged.database, f"log:{ORIGIN}")
    assert (action.who, action.why) == (ORDER.who, ORDER.why)


async def test_the_secret_half_of_the_old_key_is_gone(ledger: Ledger, tmp_path: Path) -> None:
    before = _contents(tmp_path)["log-signing.greenledger-test.key"]
    await ledger.rotate(ORDER)
    after = _contents(tmp_path)
    assert after.keys() == {"log-signing.greenledger-test.key", "log-signing.greenledger-test.pub"}
    assert before not in after.values()


def _contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


async def test_another_process_notices_the_new_key_before_it_signs_again(
    logged: Logged, ledger: Ledger, tmp_path: Path
) -> None:
    other = await _ledger(logged, tmp_path)
    await logged.append("a")
    await other.checkpoint()
    await ledger.rotate(ORDER)
    await logged.append("b")
    signed = await other.checkpoint()
    assert _signers(signed.note) == {ledger.verifier.key_id}
    assert await other.keys() == await ledger.keys()


async def test_signers_and_exchanges_at_the_same_time_leave_a_log_that_its_audit_finds_whole(
    logged: Logged, ledger: Ledger, tmp_path: Path
) -> None:
    others = [await _ledger(logged, tmp_path) for _ in range(3)]

    async def signing(signer: Ledger, name: str) -> None:
        for number in range(8):
            await logged.append(f"{name}-{number}")
            await signer.checkpoint()

    await asyncio.gather(
        *(signing(other, str(number)) for number, other in enumerate(others)),
        *(ledger.rotate(ORDER) for _ in range(2)),
    )
    keys = await others[0].keys()
    assert len(keys) == 3
    report = await _audited(logged, keys)
    assert report.findings == []
    assert report.checkpoints > 3


async def test_an_exchange_that_was_rolled_back_changes_nothing(logged: Logged, ledger: Ledger) -> None:
    await logged.append("a")
    before = ledger.verifier

    async def undone() -> None:
        async with logged.database.transaction():
            await ledger.rotate(ORDER)
            raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        await undone()
    assert ledger.verifier == before
    assert await ledger.keys() == [before]
    await logged.append("b")
    assert _signers((await ledger.checkpoint()).note) == {before.key_id}
    assert (await ledger.rotate(ORDER)).previous == before


async def test_a_process_that_died_after_the_commit_finishes_the_exchange_when_it_starts(
    logged: Logged, ledger: Ledger, tmp_path: Path
) -> None:
    await logged.append("a")
    secret = tmp_path / "log-signing.greenledger-test.key"
    old = secret.read_text()
    made = await ledger.rotate(ORDER)
    secret.rename(secret.with_suffix(".next.key"))
    secret.write_text(old)
    assert (await _ledger(logged, tmp_path)).verifier == made.next
    assert secret.read_text() != old


@pytest.mark.parametrize(
    "forgery",
    [
        "DELETE FROM log_handover",
        "UPDATE log_handover SET note = replace(note, E'\\n1\\n', E'\\n2\\n')",
        "UPDATE log_handover SET note = 'nothing'",
    ],
    ids=["removed", "altered", "no note"],
)
async def test_a_forged_history_of_keys_is_noticed(
    logged: Logged, ledger: Ledger, tmp_path: Path, forgery: str
) -> None:
    await logged.append("a")
    await ledger.checkpoint()
    await ledger.rotate(ORDER)
    good = await ledger.keys()
    assert (await _audited(logged, good)).findings == []
    await logged.database.execute(forgery)
    fresh = await _ledger(logged, tmp_path)
    with pytest.raises(ForkedLogError):
        await fresh.last()
    findings = (await _audited(logged, fresh.known_keys)).findings
    assert Kind.CHECKPOINT in {found.kind for found in findings}


async def test_a_log_without_a_folder_keeps_its_key(logged: Logged) -> None:
    await logged.database.execute(AUDIT_V1)
    with pytest.raises(RuntimeError):
        await logged.ledger.rotate(ORDER)
