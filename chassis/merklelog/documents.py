"""Receipts, consistency bundles and exports: what the log hands out, as self-contained files.

Each is JSON with `format` naming its shape and version, in the form that the JSON mapping of protobuf has
(lowerCamelCase names, whole numbers as text, bytes in base64), so that the answer of an API can be kept and
checked as it came. Reading a file checks its shape only; `verify` methods check what it claims.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chassis.merklelog.checkpoint import Checkpoint, open_checkpoint
from chassis.merklelog.fields import (
    DocumentError,
    Json,
    bytes_of,
    check_origin,
    hashes_of,
    in_base64,
    number_of,
    origin_of,
    parse_json,
    part_of,
    text_of,
    texts_of,
)
from chassis.merklelog.handover import key_ring, open_handover
from chassis.merklelog.leaf import parse_leaf
from chassis.merklelog.note import NoteError, VerifierKey
from chassis.merklelog.tree import Frontier, ProofError, leaf_hash, verify_consistency, verify_inclusion

RECEIPT_FORMAT = "greenledger-receipt-v1"
CONSISTENCY_FORMAT = "greenledger-consistency-v1"
EXPORT_FORMAT = "greenledger-log-v1"
KEYS_FORMAT = "greenledger-keys-v1"


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
            "origin": origin_of(self.key),
            "key": self.key,
            "leaf": self.leaf.decode(),
            "leafIndex": str(self.index),
            "treeSize": str(self.size),
            "inclusionProof": in_base64(self.proof),
            "checkpoint": self.checkpoint,
        }

    @classmethod
    def from_json(cls, value: Json) -> "Receipt":
        """Read it.

        Raises:
            DocumentError: a field is missing or malformed.
        """
        check_origin(value)
        return cls(
            key=text_of(value, "key"),
            leaf=bytes_of(value, "leaf"),
            index=number_of(value, "leafIndex"),
            size=number_of(value, "treeSize"),
            proof=hashes_of(value, "inclusionProof"),
            checkpoint=text_of(value, "checkpoint"),
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
        key: as in `Receipt`, of the second.
        first, second: the signed tree heads.
        proof: hashes of RFC 9162, 2.1.4.
        earlier_keys: those of the first, when another key has taken over since; default none.
    """

    key: str
    first: str
    second: str
    proof: tuple[bytes, ...]
    earlier_keys: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """As JSON."""
        return {
            "format": CONSISTENCY_FORMAT,
            "origin": origin_of(self.key),
            "key": self.key,
            "first": self.first,
            "second": self.second,
            "proof": in_base64(self.proof),
            "earlierKeys": list(self.earlier_keys),
        }

    @classmethod
    def from_json(cls, value: Json) -> "Consistency":
        """Read it.

        Raises:
            DocumentError: a field is missing or malformed.
        """
        check_origin(value)
        return cls(
            text_of(value, "key"),
            text_of(value, "first"),
            text_of(value, "second"),
            hashes_of(value, "proof"),
            texts_of(value, "earlierKeys"),
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


@dataclass(frozen=True, slots=True)
class Keys:
    """Shows how the keys of a log took over from one another.

    Args:
        key: that which signs now.
        handovers: notes, the oldest first; none where the log has had one key only.
    """

    key: str
    handovers: tuple[str, ...]

    def to_json(self) -> Json:
        """As JSON."""
        named = {"origin": origin_of(self.key), "key": self.key, "handovers": list(self.handovers)}
        return {"format": KEYS_FORMAT, **named}

    @classmethod
    def from_json(cls, value: Json) -> "Keys":
        """Read it.

        Raises:
            DocumentError: a field is missing or malformed.
        """
        check_origin(value)
        return cls(text_of(value, "key"), texts_of(value, "handovers"))

    def verify(self, keys: Sequence[VerifierKey]) -> list[VerifierKey]:
        """All keys, the oldest first, when all given ones of this log are among them, and one is.

        One alone would not do: who stole a former key can hand over from it to a key of his own, and only the
        key that took over in truth, or the size until which the former one counts, shows that.

        Args:
            keys: trusted; one with `until` must hand over at just that size.

        Raises:
            NoteError: a handover is not signed by both keys, they do not fit together, or not with the keys.
        """
        named = VerifierKey.parse(self.key)
        ring = key_ring([open_handover(note) for note in self.handovers]) if self.handovers else [named]
        if ring[-1] != named:
            raise NoteError("the handovers lead to another key than the one that is named")
        known = [key for key in keys if key.name == named.name]
        if not known:
            raise NoteError("none of the keys of the log is one that is trusted")
        limits = {str(key): key.until for key in ring}
        for key in known:
            if str(key) not in limits:
                raise NoteError(f"the trusted key {key} is none of the keys of the log")
            if key.until not in (None, limits[str(key)]):
                raise NoteError(f"the trusted key {key} handed over at another size than {key.until}")
        return ring


def export_header(key: str, checkpoint: str) -> Json:
    """The first line of an export; then come those of `export_leaf`, and one of `export_end`."""
    header = {"format": EXPORT_FORMAT, "origin": origin_of(key), "key": key, "checkpoint": checkpoint}
    return {"header": header}


def export_leaf(index: int, leaf: bytes) -> Json:
    """One leaf of an export."""
    return {"leaf": {"leafIndex": str(index), "leaf": leaf.decode()}}


def export_end(leaves: int) -> Json:
    """The last line of an export, which says that nothing was cut off on the way."""
    return {"end": {"leaves": str(leaves)}}


def export_key(header: Json) -> str:
    """The verifier key that an export names."""
    check_origin(header)
    return text_of(header, "key")


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
    checkpoint = open_checkpoint(text_of(header, "checkpoint"), keys)
    tree = Frontier()
    ended = False
    for number, line in enumerate(lines, 2):
        content = parse_json(line, f"line {number}")
        if ended:
            raise DocumentError(f"line {number} is behind the end")
        if "end" in content:
            ended = number_of(part_of(content, "end"), "leaves") == tree.size
            continue
        entry = part_of(content, "leaf")
        index, leaf = number_of(entry, "leafIndex"), bytes_of(entry, "leaf")
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
