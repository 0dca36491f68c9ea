"""The keys of a log: the one that signs now, those before it, and the exchange."""

from datetime import datetime

import structlog

from chassis.database import Database, Transaction
from chassis.merklelog.checkpoint import Checkpoint
from chassis.merklelog.handover import Handover, hand_over, key_ring, open_handover
from chassis.merklelog.keys import KeyFolder
from chassis.merklelog.note import NoteError, SigningKey, VerifierKey
from chassis.merklelog.schema import HANDOVER_LOCK

_log = structlog.get_logger(__name__)
_HANDOVERS = "SELECT note FROM log_handover ORDER BY number"
_INSERT = """
INSERT INTO log_handover (number, size, root, note, signed_at)
SELECT coalesce(max(number), 0) + 1, $1, $2, $3, $4 FROM log_handover
"""


class LogKeys:
    """Knows from the kept handovers which key signs.

    A handover that another process has made is noticed before the next signature: whoever signs holds a lock
    that excludes handovers.

    Args:
        database: with the tables of `chassis.merklelog.schema`.
        key: the one at hand.
        folder: where the keys are; default none, then they are never exchanged.
    """

    def __init__(self, database: Database, key: SigningKey, folder: KeyFolder | None = None) -> None:
        self._database = database
        self._folder = folder
        self._notes: list[str] = []
        self.signing = key
        self.handovers: list[Handover] = []
        self.ring: list[VerifierKey] = [key.verifier]
        """All keys, the oldest first, as they were when last looked at."""

    async def refresh(self) -> None:
        """Look at the handovers.

        Raises:
            NoteError: they do not lead to a key that is at hand, so they are not ours.
        """
        notes = [row["note"] for row in await self._database.fetch(_HANDOVERS)]
        if notes == self._notes:
            return
        handovers = [open_handover(note) for note in notes]
        ring = key_ring(handovers) if handovers else [self.signing.verifier]
        if ring[-1] != self.signing.verifier:
            found = self._folder.take(ring[-1]) if self._folder is not None else None
            if found is None:
                raise NoteError(f"the log was handed over to {ring[-1]}, a key that is not here")
            self.signing = found
        self._notes, self.handovers, self.ring = notes, handovers, ring
        self.publish()

    async def hold(self, tx: Transaction) -> None:
        """Look at the handovers and let nobody make one until the transaction ends.

        Raises:
            NoteError: as `refresh`.
        """
        await tx.execute(f"SELECT pg_advisory_xact_lock_shared({HANDOVER_LOCK})")
        await self.refresh()

    async def lock(self, tx: Transaction) -> None:
        """Look at the handovers and let nobody sign or exchange until the transaction ends.

        Raises:
            NoteError: as `refresh`.
        """
        await tx.execute(f"SELECT pg_advisory_xact_lock({HANDOVER_LOCK})")
        await self.refresh()

    async def exchange(self, tx: Transaction, head: Checkpoint, now: datetime) -> Handover:
        """Hand over to a new key when the transaction commits, of which `lock` was called."""
        if self._folder is None:
            raise RuntimeError("keys without a folder cannot be exchanged")
        made = hand_over(head, self.signing, self._folder.successor())
        await tx.execute(_INSERT, made.size, made.root, made.note, now)
        # Here at once; elsewhere, and should this fail, before the next signature.
        tx.on_commit(lambda: self._take_over(made))
        return made

    def _take_over(self, made: Handover) -> None:
        found = self._folder.take(made.next) if self._folder is not None else None
        if found is not None:
            self.signing = found
            self._notes, self.handovers = [*self._notes, made.note], [*self.handovers, made]
            self.ring = key_ring(self.handovers)
            self.publish()
        _log.warning("log.key_exchanged", origin=made.next.name, size=made.size)

    def publish(self) -> None:
        """Write the public keys beside the secret one."""
        if self._folder is not None:
            self._folder.publish(self.ring)
