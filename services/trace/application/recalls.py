"""Ask how far recalls have come, or how far one would go."""

import hashlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import NotFound, PermissionDenied
from chassis.money import Money
from services.trace.application.recall_ports import RecallNews, RecallReader
from services.trace.application.trace_goods import PERSONAL, unknown
from services.trace.domain.recall import Call, Count, Entry, EntryKind, Recall, progress_of

POLL_S = 1.0


class Recalls:
    """Guests are listed only for callers with trace.personal."""

    def __init__(
        self,
        recalls: RecallReader,
        news: RecallNews,
        deadlines: Mapping[EntryKind, timedelta],
        clock: Clock,
        heartbeat: timedelta = timedelta(seconds=15),
    ) -> None:
        self._recalls = recalls
        self._news = news
        self._deadlines = deadlines
        self._clock = clock
        self._heartbeat_s = heartbeat.total_seconds()
        self._poll_s = min(POLL_S, self._heartbeat_s)

    async def get(self, recall_id: str) -> Recall:
        """A recall with its progress.

        Raises:
            NotFound: RECALL_NOT_FOUND.
        """
        return await self._follow(await self._call(recall_id))

    async def drill(self, lot_id: str) -> Recall:
        """What a recall of a lot would have to do; nothing is written.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        if not await self._recalls.knows_lot(lot_id):
            raise unknown("lot", lot_id)
        return await self._follow(Call(recall_id="", root_lot_id=lot_id))

    async def page(
        self, root_lot_id: str | None, open_only: bool, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Recall]:
        """Recalls without their progress, newest first, at most `limit`."""
        calls = await self._recalls.page(root_lot_id, open_only, before, limit)
        return [Recall(call) for call in calls]

    async def entries(
        self,
        actor: Principal,
        recall_id: str,
        kind: EntryKind | None,
        outstanding_only: bool,
        after: tuple[EntryKind, str] | None,
        limit: int,
    ) -> Sequence[Entry]:
        """What a recall has to do, at most `limit` entries behind one.

        Args:
            kind: None lists every kind that the caller may see.

        Raises:
            NotFound: RECALL_NOT_FOUND.
            PermissionDenied: guests were asked for without trace.personal.
        """
        personal = PERSONAL in actor.permissions
        if kind is EntryKind.GUEST and not personal:
            raise PermissionDenied("PERMISSION_DENIED", f"Guests are told only to those with {PERSONAL}.")
        kinds = [kind] if kind else [each for each in EntryKind if personal or each is not EntryKind.GUEST]
        return await self._recalls.entries(await self._call(recall_id), kinds, outstanding_only, after, limit)

    async def watch(self, recall_id: str, seen: str) -> AsyncGenerator[tuple[Recall, str] | None, None]:
        """The recall whenever it differs from what was seen, with a mark of it; None is a heartbeat.

        Ends when there is nothing to wait for. How far it is, is worked out when something was heard of it,
        and with each heartbeat for what changed besides, such as an order that ended by itself.

        Raises:
            NotFound: RECALL_NOT_FOUND.
        """
        quiet_s = age_s = 0.0
        heard, found = None, None
        with self._news.watch(recall_id) as news:
            while True:
                now_heard = await self._recalls.heard(recall_id)
                if found is None or now_heard != heard or age_s >= self._heartbeat_s:
                    heard, found, age_s = now_heard, await self._find(await self._call(recall_id)), 0.0
                recall = self._shown(found)  # of now, since deadlines pass
                if (mark := mark_of(recall)) != seen:
                    seen, quiet_s = mark, 0.0
                    yield recall, mark
                if recall.at_rest:
                    return
                # The poll finds what another replica heard, and deadlines that pass.
                waited_s = 0.0 if await news.wait(self._poll_s) else self._poll_s
                quiet_s, age_s = quiet_s + waited_s, age_s + waited_s
                if quiet_s >= self._heartbeat_s:
                    quiet_s = 0.0
                    yield None

    async def _call(self, recall_id: str) -> Call:
        call = await self._recalls.call(recall_id)
        if call is None:
            message = f"No recall {recall_id} is known here; news of a new one may be on its way."
            raise NotFound("RECALL_NOT_FOUND", message, resource=("recall", recall_id))
        return call

    async def _follow(self, call: Call) -> Recall:
        return self._shown(await self._find(call))

    async def _find(self, call: Call) -> "_Found":
        counts, refunded = await self._recalls.progress(call)
        return _Found(call, counts, tuple(refunded))

    def _shown(self, found: "_Found") -> Recall:
        progress = progress_of(found.call, found.counts, self._deadlines, self._clock.now())
        return Recall(found.call, progress, found.refunded)


@dataclass(frozen=True, slots=True)
class _Found:
    """How far a recall was; what of it is late depends on when one looks."""

    call: Call
    counts: Mapping[EntryKind, Count]
    refunded: tuple[Money, ...]


def mark_of(recall: Recall) -> str:
    """Equal for equal recalls, short, and says nothing."""
    return hashlib.sha256(repr(recall).encode()).hexdigest()[:16]
