"""Lots to test with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from chassis.quantity import Quantity
from services.crops.domain.events import LotEvent, Origin
from services.crops.domain.harvest import Harvest, mint
from services.crops.domain.lot import Lot, evolve

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
GROWER = "11111111-1111-4111-8111-111111111111"
BUYER = "22222222-2222-4222-8222-222222222222"
STRANGER = "33333333-3333-4333-8333-333333333333"
LOT_ID = "00000000-0000-7000-8000-000000000001"
MAKER = "market"
RECALL_ID = "00000000-0000-5000-8000-00000000000a"


def harvest(**changes: Any) -> Harvest:
    """A harvest of romaine lettuce, 100 kg unless told otherwise."""
    facts: dict[str, Any] = {
        "lot_code": "ROM-2026-001",
        "product_code": "romaine-lettuce",
        "description": "Romaine hearts",
        "variety": "Parris Island",
        "quantity": Quantity.of("100", "KGM"),
        "origin": Origin(farm_name="Salinas Farm", city="Salinas", region="CA", country_code="US"),
        "harvest_time": NOW - timedelta(days=1),
        "harvest_utc_offset": "-07:00",
        "expire_time": NOW + timedelta(days=14),
    }
    return Harvest(**{**facts, **changes})


def lot(*events: LotEvent, **changes: Any) -> Lot:
    """A fresh lot of GROWER after further events."""
    state = evolve(None, mint(harvest(**changes), lot_id=LOT_ID, grower_id=GROWER, now=NOW))
    for event in events:
        state = evolve(state, event)
    return state
