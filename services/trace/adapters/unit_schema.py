"""Who may say that a lot of ours was put on a logistic unit or taken off it."""


def may_tell(lot: str, party: str) -> str:
    """Condition: a partner's word on a lot counts.

    Of a lot of ours that of those who have or had it, of other goods anybody's.

    OFFSET 0 keeps the planner from hashing a whole table for what one lookup by the lot finds.

    Args:
        lot, party: expressions in SQL.
    """
    return f"""(
    strpos({lot}, ':') > 0
    OR EXISTS (
        SELECT FROM traced_lot AS own
        WHERE own.lot_id = {lot} AND {party} IN (own.owner_id, own.custodian_id, own.grower_id) OFFSET 0
    )
    OR EXISTS (SELECT FROM custody WHERE custody.lot_id = {lot} AND custody.owner_id = {party} OFFSET 0)
    OR EXISTS (
        SELECT FROM journal AS moved
        WHERE moved.lot_id = {lot} AND moved.kind IN ('custody', 'arrived') AND moved.party_id = {party}
        OFFSET 0
    )
    OR EXISTS (
        SELECT FROM stock CROSS JOIN LATERAL (
            SELECT owner_id FROM venue WHERE venue.venue_id = stock.venue_id OFFSET 0
        ) AS receiver
        WHERE stock.lot_id = {lot} AND receiver.owner_id = {party} OFFSET 0
    )
)"""


UNITS_V2 = f"""
ALTER TABLE unit_change ADD COLUMN reported_by text NOT NULL DEFAULT '';
COMMENT ON COLUMN unit_change.reported_by IS 'the partner who did; empty when crops did';
CREATE VIEW counted_unit_change AS
SELECT * FROM unit_change AS told
WHERE reported_by = '' OR {may_tell("told.lot_id", "told.reported_by")};
COMMENT ON VIEW counted_unit_change IS 'of a lot of ours only what those said who have or had it';
"""

UNITS_V2_DROP = """
DROP VIEW counted_unit_change;
ALTER TABLE unit_change DROP COLUMN reported_by;
"""
