"""Receipts, consistency bundles and exports: what the log hands out, as self-contained files.

Each is JSON with `format` naming its shape and version, in the form that the JSON mapping of protobuf has
(lowerCamelCase names, whole numbers as text, bytes in base64), so that the answer of an API can be kept and
checked as it came. Reading a file checks its shape only; `verify` methods check what it claims.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.merklelog.checkpoint import Checkpoint, open_checkpoint
from chassis.merklelog.leaf import load_json, parse_leaf
from chassis.merklelog.note import VerifierKey
from chassis.merklelog.tree import Frontier, ProofError, leaf_hash, verify_consistency, verify_inclusion

RECEIPT_FORMAT = "greenledger-receipt-v1"
CONSISTENCY_FORMAT = "greenledger-consistency-v1"
EXPORT_FORMAT = "greenledger-log-v1"

Json = dict[str, Any]
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


class DocumentError(ValueError):
    """A file that is not what it should be; the message names the field."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Shows that an event is in the log.

    Args:
        key: the log's verifier key; its name is the origin. A reader should know it from elsewhere.
        leaf: canonical bytes of the event.
        index: of the leaf, from 0.
        proof: hashes from the leaf to the root of the checkpoint's tree.
        checkpoint: the signed tree head, a note.
    """

    key: str
    leaf: bytes
    index: int
    size: int
    proof: tuple[bytes, ...]
    checkpoint: str

    def to_json(self) -> Json:
        """As JSON."""
        return {
            "format": RECEIPT_FORMAT,
            "origin": _origin(self.key),
            "key": self.key,
            "leaf": self.leaf.decode(),
            "leafIndex": str(self.index),
            "treeSize": str(self.size),
            "inclusionProof": _texts(self.proof),
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def from_json(cls, value: Json) -> "Receipt":
        """Read it.

        Raises:
            DocumentError: a field is missing or malformed.
        """
        _check_origin(value)
        return cls(
            key=_text(value, "key"),
            leaf=_bytes(value, "leaf"),
            index=_number(value, "leafIndex"),
            size=_number(value, "treeSize"),
            proof=_hashes(value, "inclusionProof"),
            checkpoint=_text(value, "checkpoint"),
        )

    def verify(self, keys: Sequence[VerifierKey]) -> tuple[Json, Checkpoint]:
        """The event's fields and the checkpoint, when all of it holds.

        Raises:
            NoteError: the checkpoint is not signed by one of the keys.
            ProofError: the leaf is not in the checkpoint's tree.
            CanonicalFormError: the leaf could be read in two ways.
        """
        checkpoint = open_checkpoint(self.checkpoint, keys)
        if checkpoint.size != self.size:
            raise ProofError(f"the proof is for {self.size} leaves, the checkpoint for {checkpoint.size}")
        verify_inclusion(leaf_hash(self.leaf), self.index, self.size, self.proof, checkpoint.root)
        return parse_leaf(self.leaf), checkpoint


@dataclass(frozen=True, slots=True)
class Consistency:
    """Shows that the log of one checkpoint is the beginning of that of another.

    Args:
        key: as in `Receipt`.
        first, second: the signed tree heads.
        proof: hashes of RFC 9162, 2.1.4.
    """

    key: str
    first: str
    second: str
    proof: tuple[bytes, ...]

    def to_json(self) -> Json:
        """As JSON."""
        return {
            "format": CONSISTENCY_FORMAT,
            "origin": _origin(self.key),
            "key": self.key,
            "first": self.first,
            "second": self.second,
            "proof": _texts(self.proof),
        }

    @classmethod
    def from_json(cls, value: Json) -> "Consistency":
        """Read it.

        Raises:
            DocumentError: a field is missing or malformed.
        """
        _check_origin(value)
        return cls(
            _text(value, "key"), _text(value, "first"), _text(value, "second"), _hashes(value, "proof")
        )

    def verify(self, keys: Sequence[VerifierKey]) -> tuple[Checkpoint, Checkpoint]:
        """Both checkpoints, when both are signed and the proof holds.

        Raises:
            NoteError: a checkpoint is not signed by one of the keys.
            ProofError: they are of different logs, or the first does not begin the second.
        """
        first, second = open_checkpoint(self.first, keys), open_checkpoint(self.second, keys)
        if first.origin != second.origin:
            raise ProofError(f"the checkpoints are of different logs: {first.origin} and {second.origin}")
        verify_consistency(first.size, second.size, first.root, second.root, self.proof)
        return first, second


def export_header(key: str, checkpoint: str) -> Json:
    """The first line of an export; then come those of `export_leaf`, and one of `export_end`."""
    header = {"format": EXPORT_FORMAT, "origin": _origin(key), "key": key, "checkpoint": checkpoint}
    return {"header": header}


def export_leaf(index: int, leaf: bytes) -> Json:
    """One leaf of an export."""
    return {"leaf": {"leafIndex": str(index), "leaf": leaf.decode()}}


def export_end(leaves: int) -> Json:
    """The last line of an export, which says that nothing was cut off on the way."""
    return {"end": {"leaves": str(leaves)}}


def export_key(header: Json) -> str:
    """The verifier key that an export names."""
    _check_origin(header)
    return _text(header, "key")


def verify_export(header: Json, lines: Iterable[str | bytes], keys: Sequence[VerifierKey]) -> Checkpoint:
    """The checkpoint of an export, when its leaves are exactly the tree that was signed; memory is bounded.

    Args:
        header: the content of the first line.
        lines: the others.
        keys: as for `open_checkpoint`.

    Raises:
        NoteError, ProofError, CanonicalFormError: as `Receipt.verify`.
        DocumentError: a line is malformed.
    """
    checkpoint = open_checkpoint(_text(header, "checkpoint"), keys)
    tree = Frontier()
    ended = False
    for number, line in enumerate(lines, 2):
        content = parse_json(line, f"line {number}")
        if ended:
            raise DocumentError(f"line {number} is behind the end")
        if "end" in content:
            ended = _number(_part(content, "end"), "leaves") == tree.size
            continue
        entry = _part(content, "leaf")
        index, leaf = _number(entry, "leafIndex"), _bytes(entry, "leaf")
        if index != tree.size:
            raise ProofError(f"line {number} has leaf {index} where leaf {tree.size} should be")
        parse_leaf(leaf)
        tree.add(leaf_hash(leaf))
    if not ended:
        raise ProofError(f"the export was cut off: it has {tree.size} leaves and no end, or another one")
    if tree.size != checkpoint.size:
        raise ProofError(f"the export has {tree.size} leaves, its checkpoint says {checkpoint.size}")
    if tree.root() != checkpoint.root:
        raise ProofError("the leaves have another root than the checkpoint: at least one was altered")
    return checkpoint


def parse_json(text: str | bytes, what: str) -> Json:
    """A JSON object in which no name occurs twice.

    Raises:
        DocumentError: it is something else.
    """
    try:
        value = load_json(text, object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise DocumentError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DocumentError(f"{what} is not a JSON object")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise DocumentError("a name occurs twice in one object")
    return value


def _origin(key: str) -> str:
    return key.split("+", 1)[0]


def _check_origin(value: Json) -> None:
    if _text(value, "origin") != _origin(_text(value, "key")):
        raise DocumentError("origin is not the name of the key")


def _text(value: Json, name: str) -> str:
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise DocumentError(f"{name} is missing or not text")
    return found


def _part(value: Json, name: str) -> Json:
    found = value.get(name)
    if not isinstance(found, dict):
        raise DocumentError(f"{name} is missing or not an object")
    return found


def _bytes(value: Json, name: str) -> bytes:
    try:
        return _text(value, name).encode()
    except UnicodeEncodeError:
        raise DocumentError(f"{name} is not valid text") from None


def _number(value: Json, name: str) -> int:
    found = value.get(name)
    if isinstance(found, str) and _DIGITS.fullmatch(found):
        return int(found)
    if type(found) is int and 0 <= found < 10**19:
        return found
    raise DocumentError(f"{name} is missing or not a whole number")


def _texts(hashes: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(entry).decode() for entry in hashes]


def _hashes(value: Json, name: str) -> tuple[bytes, ...]:
    found = value.get(name)
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise DocumentError(f"{name} is missing or not a list of text")
    try:
        return tuple(base64.b64decode(entry, validate=True) for entry in found)
    except (binascii.Error, ValueError):
        raise DocumentError(f"{name} is not base64") from None
