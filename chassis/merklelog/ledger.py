"""What a log hands to outsiders: signed checkpoints, receipts, proofs, exports."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

import structlog
from prometheus_client import Counter

from chassis import audit
from chassis.clock import Clock
from chassis.database import Database
from chassis.merklelog.answers import (
    ForkedLogError,
    Inclusion,
    SignedCheckpoint,
    UnknownCheckpointError,
    UnknownEventError,
    canonical,
)
from chassis.merklelog.checkpoint import Checkpoint, open_signed
from chassis.merklelog.documents import Consistency, Receipt
from chassis.merklelog.handover import Handover
from chassis.merklelog.keys import KeyFolder
from chassis.merklelog.note import NoteError, SigningKey, VerifierKey
from chassis.merklelog.rotation import LogKeys
from chassis.merklelog.store import DamagedLogError, MerkleLog
from chassis.merklelog.tree import ProofError, leaf_hash, verify_consistency, verify_inclusion

_log = structlog.get_logger(__name__)
_SIGNED = Counter("log_checkpoints_signed", "Checkpoints signed.", ["origin"])
_REFUSED = Counter(
    "log_checkpoints_refused",
    "Checkpoints not signed because the log does not continue what was signed before.",
    ["origin"],
)
_EXPORT_BATCH = 256
_LAST = "SELECT size, root, note FROM log_checkpoint ORDER BY size DESC LIMIT 1"
_KEPT = "SELECT note FROM log_checkpoint WHERE size = $1"
_KEEP = """
INSERT INTO log_checkpoint (size, root, note, signed_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (size) DO NOTHING RETURNING true
"""


class Ledger:
    """The public side of a log.

    Args:
        database: the log's.
        log: its leaves and nodes.
        key: signs; its name is the origin.
        clock: stamps when a checkpoint was signed (not part of it).
        folder: where another key can be had; default none, then the key stays.
    """

    def __init__(
        self,
        database: Database,
        log: MerkleLog,
        key: SigningKey,
        clock: Clock,
        folder: KeyFolder | None = None,
    ) -> None:
        self._database = database
        self.log = log
        self._keys = LogKeys(database, key, folder)
        self._clock = clock
        self._newest: Checkpoint | None = None

    @property
    def verifier(self) -> VerifierKey:
        """The public key that outsiders check with."""
        return self._keys.signing.verifier

    async def keys(self) -> list[VerifierKey]:
        """All keys that outsiders check with, the oldest first, each with the sizes that it speaks for.

        Raises:
            ForkedLogError: what is kept of former keys was altered.
        """
        await self._refresh()
        return self._keys.ring

    async def handovers(self) -> list[Handover]:
        """How one key came after the other.

        Raises:
            ForkedLogError: as `keys`.
        """
        await self._refresh()
        return self._keys.handovers

    @property
    def known_keys(self) -> list[VerifierKey]:
        """As `keys`, when they were last looked at and right."""
        return self._keys.ring

    async def open(self) -> None:
        """Find out which key signs and publish the public ones; for the start of a process.

        Never fails: a log whose keys do not fit is served, but not signed, and its audit says why.
        """
        with suppress(ForkedLogError):
            await self._refresh()
            self._keys.publish()

    async def rotate(self, order: audit.Order) -> Handover:
        """Let a new key take over at the log as it is now.

        Args:
            order: who wants it, and why; kept in the audit of operators' actions.

        Raises:
            ForkedLogError: see `checkpoint`.
        """
        async with self._database.transaction() as tx:
            with self._ours():
                await self._keys.lock(tx)
            head = await self._head(await self.last(), await self.log.size())
            made = await self._keys.exchange(tx, head, self._clock.now())
            what = f"handed over from {made.previous.key_id.hex()} to {made.next.key_id.hex()}"
            await audit.record(tx, self._clock, f"log:{self.verifier.name}", what, order)
        return made

    async def checkpoint(self) -> SignedCheckpoint:
        """The signed checkpoint of the log as it is now; signs it when nobody did.

        Raises:
            ForkedLogError: the log does not continue the last one that was signed.
        """
        # The last one first: the size that is read after it cannot be below it.
        last = await self.last()
        size = await self.log.size()
        if last is not None and last.checkpoint.size == size:
            self._remember(last.checkpoint)
            return last
        if size == 0 and last is None and self._newest is None:
            await self._refresh()
            empty = Checkpoint(self.verifier.name, 0, await self.log.root(0))
            return SignedCheckpoint(empty, empty.sign(self._keys.signing), self.verifier)
        return await self._sign(last, size)

    async def sign(self) -> None:
        """Sign a checkpoint when there is something new; for a loop."""
        await self._refresh()  # a key that was exchanged elsewhere is not kept any longer
        await self.checkpoint()

    async def last(self) -> SignedCheckpoint | None:
        """The newest checkpoint that was signed and kept.

        Raises:
            ForkedLogError: the row of it was altered.
        """
        row = await self._database.fetchrow(_LAST)
        return None if row is None else await self._open(row["note"], row["size"])

    async def kept(self, size: int) -> SignedCheckpoint:
        """The checkpoint that was signed for a size.

        Raises:
            UnknownCheckpointError: there is none.
            ForkedLogError: the row of it was altered.
        """
        note = await self._database.fetchval(_KEPT, size)
        if note is None:
            raise UnknownCheckpointError(f"no checkpoint was signed for {size} leaves")
        return await self._open(note, size)

    async def receipt(self, event_id: str) -> Receipt:
        """The receipt of an event; there is one as soon as the event is committed.

        Raises:
            UnknownEventError: no such event.
            DamagedLogError: the event or the log was altered, so that no receipt would hold.
            ForkedLogError: see `checkpoint`.
        """
        logged = await self.log.find(event_id)
        if logged is None:
            raise UnknownEventError(f"there is no event {event_id} in the log")
        signed = await self.last()
        if signed is None or signed.checkpoint.size <= logged.index:
            signed = await self.checkpoint()
        head = signed.checkpoint
        leaf = canonical(logged)
        proof = await self.log.inclusion_proof(logged.index, head.size)
        try:
            verify_inclusion(leaf_hash(leaf), logged.index, head.size, proof, head.root)
        except ProofError as error:
            raise DamagedLogError(f"event {event_id} is not what was signed: {error}") from error
        return Receipt(str(signed.key), leaf, logged.index, head.size, proof, signed.note)

    async def inclusion(self, index: int, size: int = 0) -> Inclusion:
        """That a leaf is in a tree.

        Args:
            index: of the leaf, from 0.
            size: of the tree; default 0, the log as it is now.

        Raises:
            ProofError: no such leaf in a tree of that size, or the log is not that large.
            DamagedLogError: a row is missing.
        """
        now = await self.log.size()
        size = size or now
        if size > now:
            raise ProofError(f"the log has {now} leaves, not {size}")
        proof = await self.log.inclusion_proof(index, size)
        [digest] = await self.log.hashes([(0, index)])
        return Inclusion(index, digest, size, await self.log.root(size), proof)

    async def consistency(self, first_size: int, second_size: int = 0) -> Consistency:
        """That the log of one signed checkpoint is the beginning of another's.

        Args:
            first_size: of the older one.
            second_size: of the newer one; default 0, the log as it is now.

        Raises:
            UnknownCheckpointError: a size was never signed.
            ProofError: the sizes are the wrong way round.
            ForkedLogError: see `checkpoint`.
        """
        first = await self.kept(first_size)
        second = await self.kept(second_size) if second_size else await self.checkpoint()
        proof = await self.log.consistency_proof(first_size, second.checkpoint.size)
        earlier = () if first.key == second.key else (str(first.key),)
        return Consistency(str(second.key), first.note, second.note, proof, earlier)

    async def leaves(self, begin: int, end: int) -> AsyncGenerator[tuple[int, bytes], None]:
        """Index and canonical bytes of the leaves `[begin, end)`, read in batches.

        Raises:
            DamagedLogError: an event was altered or is gone.
        """
        while begin < end:
            page = await self.log.leaves(begin, end, _EXPORT_BATCH)
            if not page or page[0].index != begin:
                raise DamagedLogError(f"the log has lost leaf {begin}")
            for logged in page:
                yield logged.index, canonical(logged)
            begin = page[-1].index + 1

    async def _sign(self, last: SignedCheckpoint | None, size: int) -> SignedCheckpoint:
        checkpoint = await self._head(last, size)
        async with self._database.transaction() as tx:
            with self._ours():
                await self._keys.hold(tx)
            note, key, root = checkpoint.sign(self._keys.signing), self.verifier, checkpoint.root
            kept = await tx.fetchval(_KEEP, size, root, note, self._clock.now())
        if not kept:
            # Another process was quicker, with the same note unless there are two histories.
            quicker = await self.kept(size)
            if quicker.checkpoint.root != root:
                self._refuse(f"another root was signed for {size} leaves")
        self._remember(checkpoint)
        _SIGNED.labels(self.verifier.name).inc()
        return SignedCheckpoint(checkpoint, note, key)

    async def _head(self, last: SignedCheckpoint | None, size: int) -> Checkpoint:
        """The log's head, which is known to continue what was signed."""
        checkpoint = Checkpoint(self.verifier.name, size, await self.log.root(size))
        for earlier in (last.checkpoint if last else None, self._newest):
            if earlier is not None:
                await self._continues(earlier, checkpoint)
        return checkpoint

    async def _continues(self, earlier: Checkpoint, later: Checkpoint) -> None:
        try:
            proof = await self.log.consistency_proof(earlier.size, later.size)
            verify_consistency(earlier.size, later.size, earlier.root, later.root, proof)
        except (ProofError, DamagedLogError) as error:
            self._refuse(f"{later.size} leaves do not continue the {earlier.size} that were signed: {error}")

    def _remember(self, checkpoint: Checkpoint) -> None:
        # Apart from the kept rows, which whoever can alter the log can remove as well.
        if checkpoint.size and (self._newest is None or checkpoint.size > self._newest.size):
            self._newest = checkpoint

    async def _open(self, note: str, size: int) -> SignedCheckpoint:
        try:
            checkpoint, key = open_signed(note, self._keys.ring)
        except NoteError:
            await self._refresh()  # another process may have exchanged the key
            try:
                checkpoint, key = open_signed(note, self._keys.ring)
            except NoteError as error:
                self._refuse(f"the checkpoint kept for {size} leaves is not ours: {error}")
        if checkpoint.size != size:
            self._refuse(f"the checkpoint kept for {size} leaves is one for {checkpoint.size}")
        return SignedCheckpoint(checkpoint, note, key)

    async def _refresh(self) -> None:
        with self._ours():
            await self._keys.refresh()

    @contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            yield
        except NoteError as error:
            self._refuse(f"the keys of the log are not those that are known: {error}")

    def _refuse(self, reason: str) -> NoReturn:
        _REFUSED.labels(self.verifier.name).inc()
        _log.critical("log.checkpoint_refused", origin=self.verifier.name, reason=reason)
        raise ForkedLogError(f"The log cannot be vouched for: {reason}.")
