"""Recomputes a log from the stored events and says what was altered, where, first of all."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from chassis.database import Database
from chassis.merklelog.checkpoint import Checkpoint, open_checkpoint
from chassis.merklelog.leaf import CanonicalFormError, event_leaf
from chassis.merklelog.note import NoteError, VerifierKey
from chassis.merklelog.snapshots import SnapshotAudit
from chassis.merklelog.store import DamagedLogError, LoggedEvent, MerkleLog
from chassis.merklelog.tree import Node, ProofError, fold, leaf_hash, node_hash, verify_inclusion

_SIZE = "(SELECT leaf_index + 1 FROM log_leaf ORDER BY leaf_index DESC LIMIT 1)"
_NODES = """
SELECT log_node.level, node_index, hash
FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS part (level, begin, until)
CROSS JOIN LATERAL (
    SELECT * FROM log_node
    WHERE log_node.level = part.level AND node_index >= begin AND node_index < until OFFSET 0
) AS log_node
"""
_SIGNED = (
    "(SELECT size, root, note FROM log_checkpoint UNION ALL SELECT size, root, note FROM log_handover) AS s"
)
_CHECKPOINTS = f"SELECT size, root, note FROM {_SIGNED} WHERE size > $1 AND size <= $2 ORDER BY size"
_NEWEST = "SELECT note FROM log_checkpoint WHERE size > $1 ORDER BY size DESC LIMIT 1"
# Compared with the size that the same statement sees: the log grows while it is audited.
_BEYOND = f"SELECT max(size) FROM {_SIGNED} WHERE size > coalesce({_SIZE}, 0)"
_SURPLUS = f"""
SELECT surplus.level, surplus.node_index FROM generate_series(1, 62) AS height
CROSS JOIN LATERAL (
    SELECT level, node_index FROM log_node
    WHERE level = height AND node_index >= coalesce({_SIZE}, 0) >> height ORDER BY node_index LIMIT 10
) AS surplus
"""


class Kind(StrEnum):
    """What is not as it was written."""

    EVENT = "event"
    LEAF = "leaf"
    NODE = "node"
    MISSING = "missing"
    EXTRA = "extra"
    CHECKPOINT = "checkpoint"
    SNAPSHOT = "snapshot"


@dataclass(frozen=True, slots=True)
class Finding:
    """One alteration.

    Args:
        kind: of the row that was altered.
        index: the leaf, or the first leaf that it may be.
        until: behind the last leaf that it may be.
        event_id: of the event, where it is one.
        detail: a sentence.
    """

    kind: Kind
    index: int
    until: int
    event_id: str
    detail: str


@dataclass(slots=True)
class AuditReport:
    """The outcome.

    Args:
        size: leaves that were recomputed.
        root: over them; None when too much is missing to tell.
        checkpoints: how many were compared.
        findings: at most so many as asked for, the first leaf first.
        more: whether there are more findings than that.
    """

    size: int = 0
    root: bytes | None = None
    checkpoints: int = 0
    findings: list[Finding] = field(default_factory=list)
    more: bool = False

    @property
    def first(self) -> Finding | None:
        """The finding of the lowest leaf."""
        return self.findings[0] if self.findings else None


@dataclass(frozen=True, slots=True)
class AuditProgress:
    """How far an audit is; the last one has the report."""

    done: int
    total: int
    report: AuditReport | None = None


class Audit:
    """One audit of one log; memory does not grow with the log, and nothing is locked.

    Args:
        database: the log's.
        log: its leaves and nodes.
        keys: whose signatures under kept checkpoints count.
        snapshots: compares snapshots with events; default nobody does.
        batch: leaves in one read; default 256, a few milliseconds of computing.
        most_findings: where it stops to list; default 100.
    """

    def __init__(
        self,
        database: Database,
        log: MerkleLog,
        keys: Sequence[VerifierKey],
        snapshots: SnapshotAudit[Any, Any] | None = None,
        batch: int = 256,
        most_findings: int = 100,
    ) -> None:
        self._database = database
        self._log = log
        self._keys = keys
        self._snapshots = snapshots
        self._batch = batch
        self._most = most_findings
        self._report = AuditReport()
        # Hashes of the outermost complete subtrees; None where a leaf is gone and nothing tells its hash.
        self._edge: list[bytes | None] = []
        self._vouched = 0
        self._rewritten = False

    async def run(self) -> AsyncGenerator[AuditProgress, None]:
        """Recompute everything; gives progress after each batch, and the report at the end."""
        total = await self._log.size()
        while self._report.size < total:
            begin, end = self._report.size, min(self._report.size + self._batch, total)
            if not await self._leaves(begin, end, total):
                break
            yield AuditProgress(self._report.size, total)
        else:
            self._report.root = self._root()
        await self._surplus()
        async for events in self._log.unlogged(self._batch * 8):
            for event in events:
                self._find(Kind.EXTRA, total, total, event.event_id, "an event that was never logged")
        await self._derived()
        self._report.findings.sort(key=lambda finding: finding.index)
        yield AuditProgress(self._report.size, total, self._report)

    async def _leaves(self, begin: int, end: int, total: int) -> bool:
        """Check a batch; false when none of its leaves is there, so that the tree cannot go on."""
        rows = {row.index: row for row in await self._log.leaves(begin, end, end - begin)}
        if not rows:
            self._find(Kind.MISSING, begin, total, "", f"leaves from {begin} on are gone")
            return False
        nodes = await self._nodes(begin, end)
        checkpoints = iter(await self._database.fetch(_CHECKPOINTS, begin, end))
        kept = next(checkpoints, None)
        for index in range(begin, end):
            digest = await self._leaf(index, rows.get(index))
            self._grow(index, digest, nodes)
            self._report.size = index + 1
            while kept is not None and kept["size"] == index + 1:
                self._compare(kept["size"], kept["root"], kept["note"])
                kept = next(checkpoints, None)
        return True

    async def _nodes(self, begin: int, end: int) -> dict[Node, bytes]:
        """The stored nodes that become complete with the leaves `[begin, end)`."""
        parts = [
            (level, begin >> level, end >> level)
            for level in range(1, end.bit_length())
            if begin >> level < end >> level
        ]
        columns = [[part[column] for part in parts] for column in range(3)]
        rows = await self._database.fetch(_NODES, *columns) if parts else []
        return {(row["level"], row["node_index"]): row["hash"] for row in rows}

    async def _leaf(self, index: int, row: LoggedEvent | None) -> bytes | None:
        """The hash to go on with, after the row was checked against the event."""
        if row is None:
            self._find(Kind.MISSING, index, index + 1, "", f"the row of leaf {index} is gone")
            return None
        if row.event is None:
            self._find(
                Kind.MISSING, index, index + 1, row.event_id, f"no event is at position {row.position}"
            )
            return row.hash
        try:
            computed = leaf_hash(event_leaf(row.event))
        except CanonicalFormError as error:
            self._find(Kind.EVENT, index, index + 1, row.event_id, f"the event was altered: {error}")
            return row.hash
        if computed != row.hash:
            return await self._which(index, row, computed)
        if row.event.event_id != row.event_id:
            self._find(Kind.LEAF, index, index + 1, row.event_id, "the leaf's row names another event")
        return computed

    async def _which(self, index: int, row: LoggedEvent, computed: bytes) -> bytes:
        """Whether the tree knows the event as it is, so that the leaf's row was altered, or the other way."""
        if await self._in_tree(index, computed):
            self._find(Kind.LEAF, index, index + 1, row.event_id, "the hash in the leaf's row was altered")
            return computed
        known = await self._in_tree(index, row.hash)
        detail = "the event was altered" if known else "the event was altered, or hashes of the log around it"
        self._find(Kind.EVENT, index, index + 1, row.event_id, detail)
        return row.hash

    async def _in_tree(self, index: int, digest: bytes) -> bool:
        """Whether a leaf's hash is in the newest signed tree, or else leads to the hashes stored above it."""
        note = await self._database.fetchval(_NEWEST, index)
        try:
            head = open_checkpoint(note, self._keys) if note is not None else await self._unsigned_head()
            proof = await self._log.inclusion_proof(index, head.size)
            verify_inclusion(digest, index, head.size, proof, head.root)
        except (NoteError, ProofError, DamagedLogError):
            return False
        return True

    async def _unsigned_head(self) -> Checkpoint:
        size = await self._log.size()
        return Checkpoint("unsigned", size, await self._log.root(size))

    def _grow(self, index: int, digest: bytes | None, nodes: dict[Node, bytes]) -> None:
        """Append a leaf to the recomputed tree and compare the nodes that it completes."""
        level, node = 0, index
        while node & 1:
            left = self._edge.pop()
            computed = None if left is None or digest is None else node_hash(left, digest)
            level, node = level + 1, node >> 1
            stored = nodes.get((level, node))
            # Above a leaf that is gone, which is a finding already, nothing tells what should be there.
            if computed is not None and stored != computed:
                what = "is gone" if stored is None else "was altered"
                detail = f"the node of level {level}, index {node} {what}"
                self._find(Kind.NODE, node << level, node + 1 << level, "", detail)
            digest = stored if computed is None else computed
        self._edge.append(digest)

    def _root(self) -> bytes | None:
        known = [entry for entry in self._edge if entry is not None]
        return fold(known) if len(known) == len(self._edge) else None

    def _compare(self, size: int, kept_root: bytes, note: str) -> None:
        """Compare a kept checkpoint, whose row was altered or tells that the history was."""
        self._report.checkpoints += 1
        try:
            signed = open_checkpoint(note, self._keys)
        except NoteError as error:
            self._find(Kind.CHECKPOINT, size - 1, size, "", f"the checkpoint for {size} was altered: {error}")
            return
        if (signed.size, signed.root) != (size, kept_root):
            self._find(
                Kind.CHECKPOINT, size - 1, size, "", f"the row of the checkpoint for {size} was altered"
            )
        root = self._root()
        if signed.size != size or root is None:
            return
        if root == signed.root:
            self._vouched = size
        elif not self._rewritten:
            # Event, leaf and nodes agree with one another, but not with what was signed. Every later
            # checkpoint says the same again.
            self._rewritten = True
            detail = f"leaves {self._vouched} to {size - 1} are not those that were signed"
            self._find(Kind.CHECKPOINT, self._vouched, size, "", detail)

    async def _surplus(self) -> None:
        """Rows beyond the end of the log."""
        signed, size = await self._database.fetchval(_BEYOND), self._report.size
        if signed is not None:
            self._find(
                Kind.MISSING, size, signed, "", f"{signed} leaves were signed, but only {size} are there"
            )
        for row in await self._database.fetch(_SURPLUS):
            level, node = row["level"], row["node_index"]
            detail = f"a node of level {level}, index {node} is beyond the log"
            self._find(Kind.EXTRA, node << level, node + 1 << level, "", detail)

    async def _derived(self) -> None:
        """Snapshots, which commands believe though no leaf vouches for them; at their last event's leaf."""
        if self._snapshots is None:
            return
        async for forged in self._snapshots.run():
            logged = await self._log.find(forged.event_id) if forged.event_id else None
            index = logged.index if logged is not None else self._report.size
            until = index if logged is None else index + 1
            self._find(Kind.SNAPSHOT, index, until, forged.event_id, forged.detail)

    def _find(self, kind: Kind, index: int, until: int, event_id: str, detail: str) -> None:
        if len(self._report.findings) < self._most:
            self._report.findings.append(Finding(kind, index, until, event_id, detail))
        else:
            self._report.more = True
