"""What a ledger answers with, and why it may not answer."""

from dataclasses import dataclass

from chassis.merklelog.checkpoint import Checkpoint
from chassis.merklelog.leaf import event_leaf
from chassis.merklelog.note import VerifierKey
from chassis.merklelog.store import DamagedLogError, LoggedEvent
from chassis.merklelog.tree import leaf_hash


class UnknownEventError(LookupError):
    """The log has no such event."""


class UnknownCheckpointError(LookupError):
    """No checkpoint was signed for this size."""


class ForkedLogError(RuntimeError):
    """The log does not continue what was signed before, so nothing more is signed; the audit says more."""


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint, the note that it was signed as, and the key that signed."""

    checkpoint: Checkpoint
    note: str
    key: VerifierKey


@dataclass(frozen=True, slots=True)
class Inclusion:
    """A leaf, a tree, and the hashes that show the one to be in the other."""

    index: int
    leaf_hash: bytes
    size: int
    root: bytes
    proof: tuple[bytes, ...]


def canonical(logged: LoggedEvent) -> bytes:
    """The canonical bytes of a logged event, which are known to be those of its leaf.

    Raises:
        DamagedLogError: the event is gone or has other bytes.
    """
    if logged.event is None:
        raise DamagedLogError(f"event {logged.event_id} of leaf {logged.index} is gone")
    leaf = event_leaf(logged.event)
    if leaf_hash(leaf) != logged.hash:
        raise DamagedLogError(f"event {logged.event_id} is not what leaf {logged.index} says")
    return leaf
