"""The graph: nodes that may be known in part, edges, and indexes for both directions.

No foreign keys: an edge may be heard of before its ends.
"""

from chassis.watermark import SequenceLog

# Each batch of facts takes one position; 1 and 2 are the event store's and the outbox's.
LEARNED_LOG = SequenceLog("learned_position", 3)

GRAPH_V1 = """
CREATE TABLE traced_lot (
    lot_id text PRIMARY KEY,
    lot_code text NOT NULL DEFAULT '',
    product_code text NOT NULL DEFAULT '',
    grower_id text NOT NULL DEFAULT '',
    owner_id text NOT NULL DEFAULT '',
    owner_number integer NOT NULL DEFAULT -1,
    parent_lot_id text NOT NULL DEFAULT '',
    recalled boolean NOT NULL DEFAULT false,
    minted_amount numeric(21, 6),
    remaining_amount numeric(21, 6),
    unit text,
    harvest_time timestamptz,
    farm_name text NOT NULL DEFAULT ''
);
CREATE TABLE lot_edge (
    parent_id text NOT NULL,
    child_id text NOT NULL,
    PRIMARY KEY (parent_id, child_id)
);
CREATE INDEX lot_edge_child_idx ON lot_edge (child_id, parent_id);
CREATE TABLE custody (
    lot_id text NOT NULL,
    number integer NOT NULL,
    owner_id text NOT NULL,
    from_time timestamptz NOT NULL,
    reference_document text NOT NULL,
    PRIMARY KEY (lot_id, number)
);
CREATE TABLE stock (
    stock_item_id text PRIMARY KEY,
    venue_id text NOT NULL,
    lot_id text NOT NULL,
    received_amount numeric(21, 6),
    received_unit text,
    quarantined boolean NOT NULL DEFAULT false
);
CREATE INDEX stock_lot_idx ON stock (lot_id);
CREATE TABLE venue (
    venue_id text PRIMARY KEY,
    name text NOT NULL,
    owner_id text NOT NULL
);
CREATE TABLE menu_item (
    menu_item_id text PRIMARY KEY,
    venue_id text NOT NULL,
    name text NOT NULL,
    product_codes text[] NOT NULL,
    lot_ids text[] NOT NULL,
    revision bigint NOT NULL
);
CREATE INDEX menu_item_venue_idx ON menu_item (venue_id);
CREATE TABLE traced_order (
    order_id text PRIMARY KEY,
    venue_id text NOT NULL DEFAULT '',
    guest_id text NOT NULL DEFAULT '',
    state smallint NOT NULL DEFAULT 0,
    placed_at timestamptz,
    released boolean NOT NULL DEFAULT false,
    consumed boolean NOT NULL DEFAULT false
);
CREATE TABLE allocation (
    order_id text NOT NULL,
    stock_item_id text NOT NULL,
    menu_item_id text NOT NULL,
    lot_id text NOT NULL,
    reserved boolean NOT NULL DEFAULT false,
    consumed boolean NOT NULL DEFAULT false,
    PRIMARY KEY (order_id, stock_item_id, menu_item_id)
);
CREATE INDEX allocation_lot_idx ON allocation (lot_id, order_id);
CREATE TABLE heard (
    slot integer PRIMARY KEY,
    at timestamptz NOT NULL
);
COMMENT ON TABLE heard IS 'newest news by slot; several, so that writers do not queue at one row';
"""

GRAPH_V1_DROP = """
DROP TABLE heard, allocation, traced_order, menu_item, venue, stock, custody, lot_edge, traced_lot;
"""

# Since when what makes a recall scope is known, so that a scope can be asked for as of a position. A null
# means "since ever": what was learned before this migration.
POSITIONS_V1 = f"""
CREATE SEQUENCE learned_position CACHE 1;
CREATE TABLE learned (
    position bigint PRIMARY KEY,
    at timestamptz NOT NULL
);
COMMENT ON TABLE learned IS 'the newest news in each of the latest batches';

CREATE FUNCTION learn(newest timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    entered text;
    taken bigint;
BEGIN
{LEARNED_LOG.enter_sql}
    taken := nextval('learned_position');
    INSERT INTO learned (position, at) VALUES (taken, newest);
    IF taken % 1000 = 0 THEN
        DELETE FROM learned WHERE position < taken - 10000;
    END IF;
    RETURN taken;
END $$;
COMMENT ON FUNCTION learn IS 'begins a batch of facts; its statements use the position as currval';

INSERT INTO learned (position, at) SELECT 0, max(at) FROM heard HAVING max(at) IS NOT NULL;
DROP TABLE heard;

ALTER TABLE lot_edge ADD COLUMN position bigint;
ALTER TABLE stock ADD COLUMN position bigint;
ALTER TABLE traced_lot ADD COLUMN product_position bigint;
ALTER TABLE traced_order
    ADD COLUMN released_position bigint,
    ADD COLUMN consumed_position bigint,
    ADD COLUMN failed_position bigint,
    ADD COLUMN guest_position bigint;
ALTER TABLE allocation
    ADD COLUMN reserved_position bigint,
    ADD COLUMN consumed_position bigint;
ALTER TABLE menu_item ADD COLUMN position bigint;
CREATE TABLE menu_item_past (
    menu_item_id text NOT NULL,
    revision bigint NOT NULL,
    venue_id text NOT NULL,
    name text NOT NULL,
    product_codes text[] NOT NULL,
    lot_ids text[] NOT NULL,
    position bigint,
    until_position bigint NOT NULL,
    PRIMARY KEY (menu_item_id, revision)
);
COMMENT ON TABLE menu_item_past IS 'the latest revisions before the present one';
CREATE INDEX menu_item_past_venue_idx ON menu_item_past (venue_id, until_position);
"""

POSITIONS_V1_DROP = """
CREATE TABLE heard (
    slot integer PRIMARY KEY,
    at timestamptz NOT NULL
);
INSERT INTO heard (slot, at) SELECT 0, max(at) FROM learned HAVING max(at) IS NOT NULL;
DROP TABLE menu_item_past;
ALTER TABLE menu_item DROP COLUMN position;
ALTER TABLE allocation DROP COLUMN reserved_position, DROP COLUMN consumed_position;
ALTER TABLE traced_order
    DROP COLUMN released_position,
    DROP COLUMN consumed_position,
    DROP COLUMN failed_position,
    DROP COLUMN guest_position;
ALTER TABLE traced_lot DROP COLUMN product_position;
ALTER TABLE stock DROP COLUMN position;
ALTER TABLE lot_edge DROP COLUMN position;
DROP FUNCTION learn;
DROP TABLE learned;
DROP SEQUENCE learned_position;
"""
