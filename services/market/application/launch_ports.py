"""What launches need of the outside world."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from chassis.saga import Refusal
from services.market.domain.launch import Harvest, Launch


class LaunchLots(Protocol):
    """The life of a launched lot in crops."""

    async def mint(self, request_id: str, owner_id: str, harvest: Harvest) -> str:
        """Mint on somebody's behalf; the lot's id. The same `request_id` is the same lot."""
        ...

    async def destroy(self, request_id: str, owner_id: str, lot_id: str, reason: str) -> None:
        """Destroy all that is not committed, on somebody's behalf."""
        ...

    async def require_sound(self, lot_id: str) -> None:
        """Refuse a lot that may not be sold.

        Raises:
            FailedPrecondition: LOT_RECALLED, LOT_HELD.
            Unavailable: LAUNCH_UNDER_WAY, crops does not show it yet.
        """
        ...


@dataclass(frozen=True, slots=True)
class LaunchProgress:
    """Where a launch stands.

    Args:
        done: whether it came about.
        data: what it knows by now.
        refusal: reason, message and metadata when it came to nothing and was undone.
    """

    launch_id: str
    launch: Launch
    done: bool
    data: Mapping[str, Any] = field(default_factory=dict)
    refusal: Refusal | None = None


class Launches(Protocol):
    """The sagas that launch."""

    async def find(self, launch_id: str) -> LaunchProgress | None: ...

    async def start(self, launch_id: str, launch: Launch, pool_id: str, campaign_id: str) -> LaunchProgress:
        """Start one, or find it."""
        ...

    async def outcome(self, launch_id: str, within: timedelta) -> LaunchProgress: ...
