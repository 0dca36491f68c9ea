"""Signed notes and checkpoints."""

import base64

import pytest

from chassis.merklelog.checkpoint import Checkpoint, open_checkpoint
from chassis.merklelog.note import Note, NoteError, SigningKey, VerifierKey
from chassis.merklelog.tree import EMPTY_ROOT
from tests.unit.merklelog import vectors

KEY = SigningKey("greenledger/test", bytes(range(32)))
WITNESS = SigningKey("witness.example", bytes(32))
HEAD = Checkpoint("greenledger/test", 7, b"\x07" * 32)


def test_the_published_note_verifies_and_its_mutations_do_not():
    published = vectors.load("signed_note.json")
    for case in published["valid"]:
        key = VerifierKey.parse(case["vkey"])
        assert str(key) == case["vkey"]
        assert Note.parse(case["note"]).verify([key]) == [key]
    for case in published["invalid"]:
        with pytest.raises(NoteError):
            Note.parse(case["note"]).verify([VerifierKey.parse(case["vkey"])])


def test_a_signed_checkpoint_opens_with_the_key_of_its_log():
    assert open_checkpoint(HEAD.sign(KEY), [KEY.verifier]) == HEAD


def test_witnesses_lines_are_passed_over_and_can_be_checked_by_who_knows_them():
    note = WITNESS.cosign(HEAD.sign(KEY))
    assert open_checkpoint(note, [KEY.verifier]) == HEAD
    assert Note.parse(note).verify([WITNESS.verifier, KEY.verifier]) == [WITNESS.verifier, KEY.verifier]


def test_a_witness_does_not_speak_for_the_log():
    with pytest.raises(NoteError):
        open_checkpoint(HEAD.sign(KEY), [WITNESS.verifier])
    with pytest.raises(NoteError):
        HEAD.sign(WITNESS)
    only_witnessed = WITNESS.sign(HEAD.text)
    with pytest.raises(NoteError):
        open_checkpoint(only_witnessed, [KEY.verifier, WITNESS.verifier])


def test_a_second_line_of_the_log_that_does_not_hold_condemns_the_note():
    forged = base64.b64encode(KEY.verifier.key_id + bytes(64)).decode()
    note = HEAD.sign(KEY) + f"\N{EM DASH} greenledger/test {forged}\n"
    with pytest.raises(NoteError):
        open_checkpoint(note, [KEY.verifier])


def test_a_key_of_the_same_name_with_another_value_is_another_key():
    namesake = SigningKey("greenledger/test", bytes(32))
    with pytest.raises(NoteError):
        open_checkpoint(HEAD.sign(namesake), [KEY.verifier])


def test_every_flipped_character_is_noticed():
    note = HEAD.sign(KEY)
    for place, character in enumerate(note):
        altered = note[:place] + chr(ord(character) ^ 1) + note[place + 1 :]
        with pytest.raises(NoteError):
            open_checkpoint(altered, [KEY.verifier])


@pytest.mark.parametrize(
    "text",
    [
        "log\n1\n",
        "log\n01\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n",
        "log\n-1\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n",
        "log\n\u0661\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n",
        "log\n1\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqp=\n",
        "log\n1\nqqo=\n",
        "\n1\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n",
        "log\n1\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n\n",
        "log\n0\nqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqo=\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str):
    with pytest.raises(NoteError):
        Checkpoint.parse(text)


def test_extension_lines_are_kept():
    extended = Checkpoint("greenledger/test", 0, EMPTY_ROOT, ("a", "b c"))
    assert open_checkpoint(extended.sign(KEY), [KEY.verifier]) == extended


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\nno dash",
        "text\n\n\N{EM DASH} name\n",
        "text\n\n\N{EM DASH} name AAAA\n",
        "text\n\n\N{EM DASH} na+me AAAAAAAA\n",
        "text\n\n\N{EM DASH} na\u00a0me AAAAAAAA\n",
        "te\txt\n\n\N{EM DASH} name AAAAAAAA\n",
        "text\n\n\N{EM DASH} name AAAAAAAA",
        "text\n\n" + "\N{EM DASH} name AAAAAAAA\n" * 101,
        "x" * 1_000_001 + "\n\n\N{EM DASH} name AAAAAAAA\n",
    ],
    ids=range(12),
)
def test_a_malformed_note_is_refused(note: str):
    with pytest.raises(NoteError):
        Note.parse(note)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AA==",
        str(KEY.verifier).replace("greenledger", "greenledgers"),
        str(KEY.verifier)[:-4],
        str(KEY.verifier).replace("+A", "+B"),
    ],
)
def test_a_malformed_key_is_refused(text: str):
    with pytest.raises(NoteError):
        VerifierKey.parse(text)
