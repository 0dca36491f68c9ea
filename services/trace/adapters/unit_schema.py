"""Who may say that a lot of ours was put on a logistic unit or taken off it."""

# OFFSET 0 keeps the planner from hashing a whole table for what one lookup by the lot finds.
UNITS_V2 = """
ALTER TABLE unit_change ADD COLUMN reported_by text NOT NULL DEFAULT '';
COMMENT ON COLUMN unit_change.reported_by IS 'the partner who did; empty when crops did';
CREATE VIEW counted_unit_change AS
SELECT * FROM unit_change AS told
WHERE reported_by = '' OR strpos(lot_id, ':') > 0
    OR EXISTS (
        SELECT FROM traced_lot AS lot
        WHERE lot.lot_id = told.lot_id AND told.reported_by IN (lot.owner_id, lot.custodian_id, lot.grower_id)
        OFFSET 0
    )
    OR EXISTS (
        SELECT FROM custody
        WHERE custody.lot_id = told.lot_id AND custody.owner_id = told.reported_by OFFSET 0
    )
    OR EXISTS (
        SELECT FROM journal AS moved
        WHERE moved.lot_id = told.lot_id AND moved.kind IN ('custody', 'arrived')
            AND moved.party_id = told.reported_by OFFSET 0
    )
    OR EXISTS (
        SELECT FROM stock CROSS JOIN LATERAL (
            SELECT owner_id FROM venue WHERE venue.venue_id = stock.venue_id OFFSET 0
        ) AS receiver
        WHERE stock.lot_id = told.lot_id AND receiver.owner_id = told.reported_by OFFSET 0
    );
COMMENT ON VIEW counted_unit_change IS 'of a lot of ours only what those said who have or had it';
"""

UNITS_V2_DROP = """
DROP VIEW counted_unit_change;
ALTER TABLE unit_change DROP COLUMN reported_by;
"""
