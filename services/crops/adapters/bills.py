"""Which firms use which bill of lading, of own shipments as of partners' events."""

from collections.abc import Sequence

from chassis.database import Database
from services.crops.adapters.epcis_schema import key_of
from services.crops.adapters.epcis_store import hold
from services.crops.domain.doubts import Doubt, shared_bill
from services.crops.domain.events import LotEvent
from services.crops.domain.physical import LotArrived, LotShipped
from services.crops.domain.physical_epcis import bills_of_lading
from services.crops.domain.telling import urn

_ADD = """
INSERT INTO epcis_bill
SELECT bill, party FROM unnest($1::text[]) AS bill CROSS JOIN unnest($2::text[]) AS party
ON CONFLICT DO NOTHING
"""
_PARTIES = "SELECT count(*) FROM epcis_bill WHERE bill = $1"


async def note(database: Database, events: Sequence[LotEvent]) -> dict[tuple[str, str], Doubt]:
    """Remember who uses which bill; of bills that too many firms use what is doubtful, by lot and bill."""
    found: dict[tuple[str, str], Doubt] = {}
    for event in events:
        if not isinstance(event, LotShipped | LotArrived) or not (bills := bills_of_lading(event.occasion)):
            continue
        await hold(database, bills)
        other = event.to_id if isinstance(event, LotShipped) else event.receiver_id
        await database.execute(_ADD, list(map(key_of, bills)), [urn(event.from_id), urn(other)])
        for bill in bills:
            doubt = shared_bill(int(await database.fetchval(_PARTIES, key_of(bill))))
            if doubt is not None:
                found[event.lot_id, bill] = doubt
    return found
