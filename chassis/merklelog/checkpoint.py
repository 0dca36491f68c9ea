"""Tree heads as checkpoints (C2SP tlog-checkpoint.md): origin, size and root, in a signed note."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from chassis.merklelog.note import Note, NoteError, SigningKey, VerifierKey
from chassis.merklelog.tree import EMPTY_ROOT, HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to.

    Args:
        origin: name of the log, also of its key, e.g. `greenledger/crops`.
        size: leaves of the tree.
        root: hash of the tree.
        extensions: further lines; default none.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is signed."""
        root = base64.b64encode(self.root).decode()
        return "".join(f"{line}\n" for line in (self.origin, str(self.size), root, *self.extensions))

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read what was signed.

        Raises:
            NoteError: it is not a checkpoint.
        """
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines):
            raise NoteError("a checkpoint has lines for origin, size and root, and no empty ones")
        origin, size, root, *extensions = lines
        if not _SIZE.fullmatch(size):
            raise NoteError("the size of a checkpoint is not a plain number")
        try:
            digest = base64.b64decode(root, validate=True)
        except (binascii.Error, ValueError):
            digest = b""
        if len(digest) != HASH_BYTES or base64.b64encode(digest).decode() != root:
            raise NoteError("the root of a checkpoint is not 32 bytes in base64")
        if int(size) == 0 and digest != EMPTY_ROOT:
            raise NoteError("an empty tree has another root")
        return cls(origin, int(size), digest, tuple(extensions))

    def sign(self, key: SigningKey) -> str:
        """This checkpoint as a note.

        Raises:
            NoteError: the key is not that of the origin.
        """
        if key.verifier.name != self.origin:
            raise NoteError(f"the key of {key.verifier.name} does not speak for {self.origin}")
        return key.sign(self.text)


def open_checkpoint(note: str, keys: Sequence[VerifierKey]) -> Checkpoint:
    """A checkpoint that its log has signed.

    Args:
        note: the signed note; signatures of others, such as witnesses, are passed over.
        keys: of logs that are trusted; those with the checkpoint's origin as their name count, a former one
            for logs up to its size.

    Raises:
        NoteError: it is malformed, the signature is missing or does not hold.
    """
    return open_signed(note, keys)[0]


def open_signed(note: str, keys: Sequence[VerifierKey]) -> tuple[Checkpoint, VerifierKey]:
    """As `open_checkpoint`, with the last of the keys that have signed it."""
    parsed = Note.parse(note)
    checkpoint = Checkpoint.parse(parsed.text)
    signers = [key for key in keys if key.name == checkpoint.origin]
    if not signers:
        raise NoteError(f"the checkpoint is of {checkpoint.origin}, for which no key is given")
    signed = parsed.verify(signers)
    if not any(key.until is None or checkpoint.size <= key.until for key in signed):
        limits = ", ".join(f"{key.key_id.hex()} until {key.until}" for key in signed)
        raise NoteError(f"a log of {checkpoint.size} leaves is signed by a former key only ({limits})")
    return checkpoint, signed[-1]
