"""Ask what a lot reached."""

from collections.abc import Sequence

from chassis.context import Principal
from chassis.errors import InvalidArgument, PermissionDenied, Violation
from services.trace.application.ports import ScopeReader
from services.trace.application.trace_goods import PERSONAL, unknown
from services.trace.domain.scope import Place, RecallScope, ScopeEntry, ScopeKind


class RecallScopes:
    """Who guests are is told only to callers with trace.personal."""

    def __init__(self, graph: ScopeReader) -> None:
        self._graph = graph

    async def summary(self, actor: Principal, lot_id: str) -> RecallScope:
        """How far a lot reached.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        scope = await self._graph.summary(lot_id, await self._graph.present())
        if scope is None:
            raise unknown("lot", lot_id)
        return scope if PERSONAL in actor.permissions else scope.without_personal_data()

    async def position(self, asked: int) -> int:
        """The position that a list is of.

        Args:
            asked: from an earlier answer; 0 means the present.

        Raises:
            InvalidArgument: POSITION_UNKNOWN, nothing here is that new.
        """
        if not asked:
            return await self._graph.present()
        if asked > await self._graph.newest():
            message = "This position is not known here; ask for the recall scope again."
            violation = Violation("position", "is not known here")
            raise InvalidArgument("POSITION_UNKNOWN", message, violations=(violation,))
        return asked

    async def entries(
        self,
        actor: Principal,
        lot_id: str,
        position: int,
        kind: ScopeKind | None,
        after: Place | None,
        limit: int,
    ) -> Sequence[ScopeEntry]:
        """The next entries of a scope, at most `limit`.

        Args:
            position: all pages of a list have the same.
            kind: None lists every kind that the caller may see, one after the other.
            after: None begins.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: guests were asked for without trace.personal.
        """
        personal = PERSONAL in actor.permissions
        if kind is ScopeKind.GUEST and not personal:
            raise PermissionDenied("PERMISSION_DENIED", f"Guests are told only to those with {PERSONAL}.")
        kinds = [kind] if kind else [each for each in ScopeKind if personal or each is not ScopeKind.GUEST]
        if after is not None:
            kinds = [each for each in kinds if each >= after.kind]
        found = await self._graph.entries(lot_id, position, kinds, after, limit)
        if found is None:
            raise unknown("lot", lot_id)
        return found if personal else [entry.without_personal_data() for entry in found]
