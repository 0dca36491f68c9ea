"""How goods travelled, and the journal of all that happened to lots."""

# The entries that are traceability records (domain/records.py).
RECORDED = """(
    kind IN ('minted', 'split-off', 'used', 'made', 'shipped', 'arrived', 'received')
    OR kind = 'observed' AND detail ? 'cooling'
)"""
MOVEMENTS_V1 = f"""
ALTER TABLE lot_edge ADD COLUMN at timestamptz;
ALTER TABLE traced_lot
    ADD COLUMN remaining_at timestamptz,
    ADD COLUMN expire_time timestamptz,
    ADD COLUMN custodian_id text NOT NULL DEFAULT '',
    ADD COLUMN custodian_at timestamptz,
    ADD COLUMN held boolean NOT NULL DEFAULT false,
    ADD COLUMN held_at timestamptz,
    ADD COLUMN destroyed_at timestamptz;
ALTER TABLE stock ADD COLUMN quarantined_at timestamptz;

CREATE TABLE lot_recall (
    lot_id text NOT NULL,
    recall_id text NOT NULL,
    recalled_at timestamptz,
    released_at timestamptz,
    PRIMARY KEY (lot_id, recall_id)
);
COMMENT ON TABLE lot_recall IS 'a lot is recalled while a recall of it is not released after it was called';
INSERT INTO lot_recall (lot_id, recall_id, recalled_at)
SELECT lot_id, '', '-infinity' FROM traced_lot WHERE recalled;

CREATE TABLE shipment (
    shipment_id text NOT NULL,
    lot_id text NOT NULL,
    from_id text NOT NULL DEFAULT '',
    to_id text NOT NULL DEFAULT '',
    amount numeric(21, 6),
    unit text,
    unit_id text NOT NULL DEFAULT '',
    shipped_at timestamptz,
    ended_at timestamptz,
    shipped_position bigint,
    ended_position bigint,
    PRIMARY KEY (shipment_id, lot_id)
);
COMMENT ON COLUMN shipment.ended_at IS 'arrived or voided';
CREATE INDEX shipment_lot_idx ON shipment (lot_id);
CREATE INDEX shipment_unit_idx ON shipment (unit_id) WHERE unit_id <> '';

CREATE TABLE unit_change (
    lot_id text NOT NULL,
    unit_id text NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    packed boolean NOT NULL,
    position bigint,
    PRIMARY KEY (lot_id, unit_id, at, recorded_at, packed)
);
COMMENT ON TABLE unit_change IS 'a lot follows a logistic unit from being packed until it is unpacked';
CREATE INDEX unit_change_unit_idx ON unit_change (unit_id);

CREATE TABLE journal (
    lot_id text NOT NULL,
    event_id text NOT NULL,
    kind text NOT NULL,
    number smallint NOT NULL,
    at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    utc_offset text NOT NULL,
    amount numeric(21, 6),
    unit text,
    remaining_amount numeric(21, 6),
    remaining_unit text,
    party_id text NOT NULL,
    other_id text NOT NULL,
    reference text NOT NULL,
    read_point text NOT NULL,
    biz_location text NOT NULL,
    documents jsonb NOT NULL,
    detail jsonb NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (lot_id, kind, event_id, number)
);
COMMENT ON TABLE journal IS 'what happened to lots, as it was told; rows are only added';
CREATE INDEX journal_record_idx ON journal (at, lot_id, event_id, kind, number) WHERE {RECORDED};
CREATE INDEX journal_party_idx ON journal (party_id, lot_id) WHERE kind IN ('minted', 'owned', 'received');
CREATE INDEX journal_made_idx ON journal (reference) WHERE kind IN ('used', 'made');

-- What was known before there was a journal, as far as it can be told; goods consumed before are not in it.
INSERT INTO journal
SELECT lot_id, 'before the journal', 'minted', 0, coalesce(custody.from_time, harvest_time, now()),
       coalesce(custody.from_time, harvest_time, now()), '', minted_amount, unit, NULL, NULL,
       coalesce(custody.owner_id, grower_id), parent_lot_id, '', '', '', '[]',
       jsonb_build_object('grower_id', grower_id, 'farm', farm_name), 0
FROM traced_lot LEFT JOIN custody USING (lot_id)
WHERE minted_amount IS NOT NULL AND coalesce(custody.number, 0) = 0;
INSERT INTO journal
SELECT lot_id, 'before the journal', 'owned', number, from_time, from_time, '', NULL, NULL, NULL, NULL,
       owner_id, '', '', '', '', '[]', '{{}}', 0
FROM custody WHERE number > 0;
INSERT INTO journal
SELECT lot_id, stock_item_id, 'received', 0, now(), now(), '', received_amount, received_unit, NULL, NULL,
       venue_id, '', stock_item_id, '', '', '[]', '{{}}', 0
FROM stock WHERE received_amount IS NOT NULL;

CREATE TABLE reading (
    lot_id text NOT NULL,
    event_id text NOT NULL,
    number smallint NOT NULL,
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL,
    celsius numeric NOT NULL,
    device_id text NOT NULL,
    PRIMARY KEY (lot_id, event_id, number)
);
COMMENT ON TABLE reading IS 'temperatures of goods';
CREATE INDEX reading_lot_idx ON reading (lot_id, start_at);
"""

MOVEMENTS_V1_DROP = """
DROP TABLE reading, journal, unit_change, shipment, lot_recall;
ALTER TABLE stock DROP COLUMN quarantined_at;
ALTER TABLE traced_lot
    DROP COLUMN remaining_at,
    DROP COLUMN expire_time,
    DROP COLUMN custodian_id,
    DROP COLUMN custodian_at,
    DROP COLUMN held,
    DROP COLUMN held_at,
    DROP COLUMN destroyed_at;
ALTER TABLE lot_edge DROP COLUMN at;
"""
