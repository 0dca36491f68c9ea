"""Signed notes: a text and the Ed25519 signatures under it (C2SP signed-note.md).

<text, lines that end with a newline>
<empty line>
— <key name> <base64 of key id and signature>
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_ED25519 = b"\x01"
_DASH = "\N{EM DASH} "
_SEPARATOR = "\n\n"
_UNTIL = " until "
_KEY_ID_BYTES = 4
_PUBLIC_KEY_BYTES = 32
MOST_BYTES = 1_000_000
MOST_SIGNATURES = 100
"""Limits of what is read, so that a hostile note costs little."""


class NoteError(ValueError):
    """A note or a key that is malformed, or a signature that does not hold."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a key, under the name of its owner.

    Written `<name>+<key id in hex>+<base64 of 0x01 and the public key>`, in files of keys with
    ` until <size>` behind it when it is the former key of a log.

    Args:
        name: of the owner.
        public_key: 32 bytes.
        until: the largest log whose checkpoints count under this key; default any.
    """

    name: str
    public_key: bytes
    until: int | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len(self.public_key) != _PUBLIC_KEY_BYTES:
            raise NoteError("an Ed25519 public key has 32 bytes")

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Read the written form.

        Raises:
            NoteError: it is malformed, of another algorithm, or its id is not that of the key.
        """
        written, limited, until = text.strip().partition(_UNTIL)
        if limited and not (until.isascii() and until.isdigit()):
            raise NoteError("the size until which a key counts is a number")
        # From the left: a name has no plus sign, base64 may.
        parts = written.split("+", 2)
        if len(parts) != 3:
            raise NoteError("a key is written <name>+<id>+<base64>")
        name, key_id, encoded = parts
        key = _decode(encoded, "the key")
        if key[:1] != _ED25519:
            raise NoteError("the key is not an Ed25519 key")
        parsed = cls(name, key[1:], int(until) if limited else None)
        if parsed.key_id.hex() != key_id:
            raise NoteError("the key's id does not belong to its name and value")
        return parsed

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256 over name, newline, algorithm and public key."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[
            :_KEY_ID_BYTES
        ]

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether the signature is this key's over the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True

    @property
    def line(self) -> str:
        """As files of keys have it."""
        return f"{self}" if self.until is None else f"{self}{_UNTIL}{self.until}"

    def __str__(self) -> str:
        key = base64.b64encode(_ED25519 + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{key}"


class SigningKey:
    """A named Ed25519 key that signs notes.

    Args:
        name: of the owner, e.g. the origin of a log.
        seed: the 32 secret bytes (RFC 8032).
    """

    def __init__(self, name: str, seed: bytes) -> None:
        if len(seed) != _PUBLIC_KEY_BYTES:
            raise NoteError("the seed of an Ed25519 key has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(name, self._key.public_key().public_bytes_raw())

    def sign(self, text: str) -> str:
        """The text as a note with this one signature.

        Raises:
            NoteError: the text cannot be one of a note.
        """
        _check_text(text)
        return f"{text}\n{self._line(text)}"

    def cosign(self, note: str) -> str:
        """A note with this key's signature added below the others."""
        return note + self._line(Note.parse(note).text)

    def _line(self, text: str) -> str:
        signed = base64.b64encode(self.verifier.key_id + self._key.sign(text.encode())).decode()
        return f"{_DASH}{self.verifier.name} {signed}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: whose it claims to be, and its bytes."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note; nothing is verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str | bytes) -> "Note":
        """Read a note.

        Raises:
            NoteError: it is malformed.
        """
        if isinstance(note, bytes):
            try:
                note = note.decode()
            except UnicodeDecodeError:
                raise NoteError("the note is not UTF-8") from None
        if len(note) > MOST_BYTES:
            raise NoteError("the note is too long")
        body, separator, lines = note.rpartition(_SEPARATOR)
        if not separator or not lines.endswith("\n"):
            raise NoteError("the note has no signatures below an empty line")
        text = body + "\n"
        _check_text(text)
        # Split at newlines only: other line breaks of Unicode are part of a name, which then is refused.
        signatures = lines[:-1].split("\n")
        if len(signatures) > MOST_SIGNATURES:
            raise NoteError("the note has too many signatures")
        return cls(text, tuple(map(_signature, signatures)))

    def verify(self, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
        """The given keys that have signed; lines of other keys, such as witnesses, are passed over.

        Raises:
            NoteError: no given key has signed, or a line of a given key does not hold.
        """
        found: list[VerifierKey] = []
        for key in keys:
            lines = [s for s in self.signatures if (s.name, s.key_id) == (key.name, key.key_id)]
            if not all(key.verifies(self.text, line.value) for line in lines):
                raise NoteError(f"the signature of {key.name} does not hold: the text was changed")
            if lines:
                found.append(key)
        if not found:
            raise NoteError(_nobody(self.signatures, keys))
        return found


def _nobody(signatures: Sequence[Signature], keys: Iterable[VerifierKey]) -> str:
    wanted = ", ".join(f"{key.name} ({key.key_id.hex()})" for key in keys) or "anybody known"
    present = ", ".join(f"{line.name} ({line.key_id.hex()})" for line in signatures)
    return f"no signature is of {wanted}; there are those of {present}"


def _signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise NoteError("a line of a signature is malformed")
    _check_name(name)
    value = _decode(encoded, "a signature")
    if len(value) <= _KEY_ID_BYTES:
        raise NoteError("a signature is too short")
    return Signature(name, value[:_KEY_ID_BYTES], value[_KEY_ID_BYTES:])


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("the text of a note ends with a newline")
    if any(character < " " and character != "\n" for character in text):
        raise NoteError("the text of a note has no control characters")


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or not c.isprintable() for c in name):
        raise NoteError("a key's name is not empty and has neither spaces nor plus signs")


def _decode(encoded: str, what: str) -> bytes:
    try:
        value = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{what} is not base64") from None
    if base64.b64encode(value).decode() != encoded:
        raise NoteError(f"{what} is not in the one form of base64")
    return value
