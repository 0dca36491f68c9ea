"""Exchanging the key of a log, and what verifies afterwards."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chassis.merklelog.checkpoint import Checkpoint, open_checkpoint
from chassis.merklelog.documents import Keys
from chassis.merklelog.handover import hand_over, key_ring, open_handover
from chassis.merklelog.note import NoteError, SigningKey, VerifierKey
from chassis.merklelog.verify import FAILS, HOLDS, UNCONFIRMED, verify_file

ORIGIN = "greenledger/test"
FIRST, SECOND, THIRD, THIEF = (SigningKey(ORIGIN, bytes([number]) * 32) for number in range(4))
HEAD = Checkpoint(ORIGIN, 7, b"\x07" * 32)
LATER = Checkpoint(ORIGIN, 9, b"\x09" * 32)
CHAIN = [hand_over(HEAD, FIRST, SECOND), hand_over(LATER, SECOND, THIRD)]


def test_both_keys_sign_a_handover_and_either_opens_it_as_a_checkpoint() -> None:
    for key in (FIRST, SECOND):
        opened = open_checkpoint(CHAIN[0].note, [key.verifier])
        assert (opened.size, opened.root) == (HEAD.size, HEAD.root)
    assert open_handover(CHAIN[0].note) == CHAIN[0]


def test_the_ring_has_each_key_with_the_sizes_that_it_speaks_for() -> None:
    assert key_ring(CHAIN) == [
        replace(FIRST.verifier, until=7),
        replace(SECOND.verifier, until=9),
        THIRD.verifier,
    ]


def test_a_former_key_signs_no_larger_log() -> None:
    ring = key_ring(CHAIN)
    assert open_checkpoint(HEAD.sign(FIRST), ring) == HEAD
    assert open_checkpoint(LATER.sign(THIRD), ring) == LATER
    with pytest.raises(NoteError, match="former key"):
        open_checkpoint(LATER.sign(FIRST), ring)


def test_a_thief_cannot_take_over_by_signing_below_what_the_log_has_signed() -> None:
    with pytest.raises(NoteError):
        open_handover(THIEF.cosign(HEAD.sign(FIRST)))
    with pytest.raises(NoteError):
        open_handover(THIEF.cosign(CHAIN[0].note.rsplit("\N{EM DASH}", 1)[0]))
    named = CHAIN[0].note.replace(str(SECOND.verifier), str(THIEF.verifier))
    with pytest.raises(NoteError):
        open_handover(THIEF.cosign(named))


@given(at=st.integers(min_value=0), put=st.characters(codec="utf-8"))
def test_no_altered_handover_opens(at: int, put: str) -> None:
    note = CHAIN[0].note
    place = at % len(note)
    altered = note[:place] + put + note[place + 1 :]
    assume(altered != note)
    with pytest.raises(NoteError):
        open_handover(altered)


def test_handovers_that_do_not_follow_one_another_are_refused() -> None:
    other = hand_over(LATER, THIEF, THIRD)
    back = hand_over(Checkpoint(ORIGIN, 3, bytes(32)), SECOND, THIRD)
    for chain in ([CHAIN[1], CHAIN[0]], [CHAIN[0], other], [CHAIN[0], back]):
        with pytest.raises(NoteError):
            key_ring(chain)
    with pytest.raises(NoteError):
        hand_over(HEAD, FIRST, FIRST)


def test_a_line_of_a_file_of_keys_is_read_as_it_was_written() -> None:
    for key in key_ring(CHAIN):
        assert VerifierKey.parse(key.line) == key
    with pytest.raises(NoteError):
        VerifierKey.parse(f"{FIRST.verifier} until tomorrow")


def test_a_file_of_keys_verifies_old_and_new_checkpoints_offline(tmp_path: Path) -> None:
    keys, note = tmp_path / "ledger.pub", tmp_path / "head"
    keys.write_text("".join(f"{key.line}\n" for key in key_ring(CHAIN)))
    for checkpoint, signer, status in (
        (HEAD, FIRST, HOLDS),
        (LATER, SECOND, HOLDS),
        (LATER, THIRD, HOLDS),
        (LATER, FIRST, FAILS),
        (HEAD, THIEF, FAILS),
    ):
        note.write_text(checkpoint.sign(signer))
        assert verify_file(note, [str(keys)]).status == status
    note.write_text(CHAIN[0].note)
    verdict = verify_file(note, [str(FIRST.verifier)])
    assert verdict.status == HOLDS
    assert str(SECOND.verifier) in verdict.sentences[0]


def test_who_knows_any_key_of_a_log_can_check_all_of_them(tmp_path: Path) -> None:
    document = Keys(str(THIRD.verifier), tuple(each.note for each in CHAIN))
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document.to_json()))
    for key in (FIRST, SECOND, THIRD):
        verdict = verify_file(path, [str(key.verifier)])
        assert verdict.status == HOLDS
        assert f"{THIRD.verifier} signs now" in verdict.sentences[0]
    assert verify_file(path).status == UNCONFIRMED
    assert verify_file(path, [str(THIEF.verifier)]).status == FAILS
    assert Keys.from_json(document.to_json()) == document
    whole = [key.line for key in key_ring(CHAIN)]
    assert verify_file(path, whole).status == HOLDS
    assert (
        verify_file(path, [*whole, str(SigningKey("greenledger/other", bytes(32)).verifier)]).status == HOLDS
    )
    for altered in (
        replace(document, key=str(SECOND.verifier)),
        replace(document, handovers=document.handovers[1:] + document.handovers[:1]),
        replace(document, handovers=(document.handovers[0].replace("\n7\n", "\n8\n"), document.handovers[1])),
    ):
        path.write_text(json.dumps(altered.to_json()))
        assert verify_file(path, [str(FIRST.verifier)]).status == FAILS


@pytest.mark.parametrize(
    "trusted",
    [
        [replace(FIRST.verifier, until=7), SECOND.verifier],
        [FIRST.verifier, SECOND.verifier],
        [replace(FIRST.verifier, until=7)],
    ],
)
@pytest.mark.parametrize("size", [3, 7, 9])
def test_a_stolen_former_key_hands_over_to_no_one_else(trusted: list[VerifierKey], size: int) -> None:
    stolen = hand_over(Checkpoint(ORIGIN, size, bytes(32)), FIRST, THIEF)
    forged = Keys(str(THIEF.verifier), (stolen.note,))
    if len(trusted) == 1 and size == 7:
        assert forged.verify(trusted)  # nothing that is known speaks against it
        return
    with pytest.raises(NoteError):
        forged.verify(trusted)
    assert forged.verify([FIRST.verifier])[-1] == THIEF.verifier


def test_a_trusted_key_hands_over_at_the_size_that_is_known() -> None:
    document = Keys(str(SECOND.verifier), (CHAIN[0].note,))
    assert document.verify([replace(FIRST.verifier, until=7)]) == key_ring(CHAIN[:1])
    with pytest.raises(NoteError, match="another size"):
        document.verify([replace(FIRST.verifier, until=9)])
    with pytest.raises(NoteError, match="another size"):
        document.verify([FIRST.verifier, replace(SECOND.verifier, until=9)])
