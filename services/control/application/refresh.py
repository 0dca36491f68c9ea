"""Taking over what this or another replica has stored."""

import asyncio

import structlog

from chassis.errors import DomainError
from services.control.application.fleet import Fleet
from services.control.application.ports import History, Revisions
from services.control.domain.policy import EdgePolicy, TrafficPolicy
from services.control.domain.registration import EDGE
from services.control.domain.versioned import Versioned

_log = structlog.get_logger(__name__)


class Refresh:
    """Reads policies and settings when their revision is another than the one known.

    As long as the database is away, what is known goes on being told.
    """

    def __init__(
        self,
        fleet: Fleet,
        revisions: Revisions,
        policies: History[TrafficPolicy],
        edge: History[EdgePolicy],
        config: History[str],
    ) -> None:
        self._fleet = fleet
        self._revisions = revisions
        self._policies = policies
        self._edge = edge
        self._config = config
        self._known: int | None = None
        self._away = False
        self._turn = asyncio.Lock()

    async def __call__(self) -> None:
        """Look once.

        Raises:
            Unavailable: the database is away.
        """
        async with self._turn:  # an older reading must not overwrite a newer one
            revision = await self._revisions.current()
            if revision == self._known:
                return
            policies = await self._policies.newest()
            edge = (await self._edge.newest()).get(EDGE, Versioned())
            config = await self._config.newest()
            self._fleet.change_settings(policies, edge, config)
            # What was written since the first statement is read again next time.
            self._known = revision

    async def quietly(self) -> bool:
        """Look once, and log instead of raising; says whether the database answered."""
        try:
            await self()
        except DomainError as error:
            if not self._away:
                _log.warning("control.database_away", reason=error.reason)
            self._away = True
            return False
        if self._away:
            _log.info("control.database_back")
        self._away = False
        return True

    async def poll(self) -> bool:
        """For a loop: look once; there is never more to do at once."""
        await self.quietly()
        return False
