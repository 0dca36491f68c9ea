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

_ADD = "INSERT INTO epcis_bill SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING"
_FIRMS = "SELECT bill, count(*) AS firms FROM epcis_bill WHERE bill = ANY($1) GROUP BY bill"


async def note(database: Database, events: Sequence[LotEvent]) -> dict[tuple[str, str], Doubt]:
    """Remember who uses which bill; of bills that too many firms use what is doubtful, by lot and bill.

    Args:
        events: recorded at once, so that all of them count before any is doubted.
    """
    uses = [
        (event, bill)
        for event in events
        if isinstance(event, LotShipped | LotArrived)
        for bill in bills_of_lading(event.occasion)
    ]
    if not uses:
        return {}
    await hold(database, (bill for _, bill in uses))
    pairs = sorted({(key_of(bill), urn(firm)) for event, bill in uses for firm in _firms(event)})
    bills = [bill for bill, _ in pairs]
    await database.execute(_ADD, bills, [firm for _, firm in pairs])
    firms = {row["bill"]: row["firms"] for row in await database.fetch(_FIRMS, bills)}
    found = {(event.lot_id, bill): shared_bill(firms[key_of(bill)]) for event, bill in uses}
    return {use: doubt for use, doubt in found.items() if doubt is not None}


def _firms(event: LotShipped | LotArrived) -> tuple[str, str]:
    return event.from_id, event.to_id if isinstance(event, LotShipped) else event.receiver_id
