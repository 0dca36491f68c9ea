"""The graph: nodes that may be known in part, edges, and indexes for both directions.

No foreign keys: an edge may be heard of before its ends.
"""

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
