"""How the signing key of a log is exchanged: a checkpoint that names both keys and that both have signed.

The old key's signature is under the name of the new one, so whoever knows the old key knows the new one from
there on; the new key's signature is under the name of the old one, so whoever knows the new key knows which
was before. The old key speaks for logs of up to that size only: it may have been stolen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chassis.merklelog.checkpoint import Checkpoint
from chassis.merklelog.note import Note, NoteError, SigningKey, VerifierKey

_PREVIOUS, _NEXT = "previous-key ", "next-key "


@dataclass(frozen=True, slots=True)
class Handover:
    """A checkpoint at which one key took over from another.

    Args:
        note: as both have signed it.
        size, root: of the tree.
        previous, next: the keys.
    """

    note: str
    size: int
    root: bytes
    previous: VerifierKey
    next: VerifierKey


def hand_over(checkpoint: Checkpoint, previous: SigningKey, successor: SigningKey) -> Handover:
    """Let another key take over at a checkpoint.

    Raises:
        NoteError: a key is not that of the checkpoint's origin, or both are the same.
    """
    if previous.verifier == successor.verifier:
        raise NoteError("a key cannot take over from itself")
    named = (f"{_PREVIOUS}{previous.verifier}", f"{_NEXT}{successor.verifier}")
    signed = replace(checkpoint, extensions=named).sign(previous)
    return open_handover(successor.cosign(signed))


def open_handover(note: str) -> Handover:
    """Read a handover.

    Raises:
        NoteError: it is none, or one of the two keys that it names has not signed it.
    """
    parsed = Note.parse(note)
    checkpoint = Checkpoint.parse(parsed.text)
    match checkpoint.extensions:
        case (one, other) if one.startswith(_PREVIOUS) and other.startswith(_NEXT):
            previous = VerifierKey.parse(one.removeprefix(_PREVIOUS))
            successor = VerifierKey.parse(other.removeprefix(_NEXT))
        case _:
            raise NoteError("the note names no keys, so it hands nothing over")
    if not previous.name == successor.name == checkpoint.origin:
        raise NoteError("the keys that are named are not those of the log")
    if len({previous, successor}) != len(parsed.verify([previous, successor])):
        raise NoteError("only one of the two keys has signed")
    return Handover(note, checkpoint.size, checkpoint.root, previous, successor)


def key_ring(handovers: Sequence[Handover]) -> list[VerifierKey]:
    """All keys of a log, the first one first, each with the largest size that it speaks for.

    Args:
        handovers: one or more, in their order.

    Raises:
        NoteError: they do not follow one another.
    """
    ring: list[VerifierKey] = []
    for before, each in zip([None, *handovers], handovers, strict=False):
        if before is not None and (before.next != each.previous or before.size > each.size):
            raise NoteError("the handovers of the log's key do not follow one another")
        ring.append(replace(each.previous, until=each.size))
    return [*ring, handovers[-1].next]
