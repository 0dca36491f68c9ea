"""Events as the store has them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.eventstore import RecordedEvent
from chassis.merklelog.checkpoint import Checkpoint
from chassis.merklelog.documents import Receipt
from chassis.merklelog.leaf import event_leaf
from chassis.merklelog.note import SigningKey
from chassis.merklelog.tree import Frontier, fold, inclusion_path, leaf_hash

KEY = SigningKey("greenledger/test", bytes(range(32)))
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def recorded(number: int = 1, **changes: Any) -> RecordedEvent:
    """An event."""
    fields: dict[str, Any] = {
        "position": number + 1,
        "stream_id": f"lot-{number}",
        "version": 1,
        "type": "LotMinted",
        "schema_version": 1,
        "data": {"lot_code": f"ROM-{number}", "quantity": {"amount": "12.5", "unit": "KGM"}},
        "meta": {"actor": "user:ada"},
        "event_id": f"00000000-0000-7000-8000-{number:012}",
        "recorded_at": AT + timedelta(seconds=number),
    }
    return RecordedEvent(**{**fields, **changes})


class MemoryLog:
    """A log of leaves, with the documents that it hands out."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self.hashes = [leaf_hash(leaf) for leaf in leaves]
        self.nodes = {(0, index): digest for index, digest in enumerate(self.hashes)}
        frontier = Frontier(lambda level, index, digest: self.nodes.update({(level, index): digest}))
        frontier.extend(self.hashes)
        self.checkpoint = Checkpoint(KEY.verifier.name, len(leaves), frontier.root())

    @classmethod
    def of(cls, count: int) -> "MemoryLog":
        return cls([event_leaf(recorded(number)) for number in range(count)])

    def receipt(self, index: int) -> Receipt:
        size = len(self.leaves)
        proof = tuple(fold([self.nodes[node] for node in part]) for part in inclusion_path(index, size))
        note = self.checkpoint.sign(KEY)
        return Receipt(str(KEY.verifier), self.leaves[index], index, size, proof, note)
