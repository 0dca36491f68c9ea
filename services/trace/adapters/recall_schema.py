"""What was heard of recalls; what a recall is to reach besides is in the graph."""

RECALLS_V1 = """
CREATE TABLE recall (
    recall_id text PRIMARY KEY,
    root_lot_id text NOT NULL DEFAULT '',
    recall_class text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    begun_at timestamptz,
    position bigint,
    released_at timestamptz
);
COMMENT ON COLUMN recall.position IS 'what was known by then of menus is what it had to reach';
COMMENT ON COLUMN recall.released_at IS 'when the last of its lots was; null while one is recalled';
CREATE INDEX recall_begun_idx ON recall (begun_at DESC, recall_id DESC) WHERE begun_at IS NOT NULL;
CREATE INDEX recall_root_idx ON recall (root_lot_id);
CREATE TABLE recall_lot (
    recall_id text NOT NULL,
    lot_id text NOT NULL,
    owner_id text NOT NULL,
    grower_id text NOT NULL,
    released_at timestamptz,
    PRIMARY KEY (recall_id, lot_id)
);
CREATE INDEX recall_lot_idx ON recall_lot (lot_id);
CREATE TABLE recall_stock (
    recall_id text NOT NULL,
    stock_item_id text NOT NULL,
    venue_id text NOT NULL,
    lot_id text NOT NULL,
    PRIMARY KEY (recall_id, stock_item_id)
);
CREATE INDEX recall_stock_idx ON recall_stock (stock_item_id);
CREATE TABLE recall_menu_item (
    recall_id text NOT NULL,
    menu_item_id text NOT NULL,
    venue_id text NOT NULL,
    PRIMARY KEY (recall_id, menu_item_id)
);
CREATE INDEX recall_menu_item_idx ON recall_menu_item (menu_item_id);
CREATE TABLE recall_order (
    recall_id text NOT NULL,
    order_id text NOT NULL,
    venue_id text NOT NULL,
    consumed boolean NOT NULL DEFAULT false,
    dealt_with boolean NOT NULL DEFAULT false,
    unaffected boolean NOT NULL DEFAULT false,
    guest_id text NOT NULL DEFAULT '',
    refunded_minor bigint NOT NULL DEFAULT 0,
    currency text NOT NULL DEFAULT '',
    PRIMARY KEY (recall_id, order_id)
);
CREATE INDEX recall_order_idx ON recall_order (order_id);
CREATE TABLE recall_notice (
    recall_id text NOT NULL,
    user_id text NOT NULL,
    sent boolean NOT NULL,
    PRIMARY KEY (recall_id, user_id)
);
"""

RECALLS_V1_DROP = """
DROP TABLE recall_notice, recall_order, recall_menu_item, recall_stock, recall_lot, recall;
"""

# Whether there is anything new to say of a recall, without working out how far it is.
RECALLS_V2 = """
ALTER TABLE recall ADD COLUMN heard bigint NOT NULL DEFAULT 0, ADD COLUMN settled_at timestamptz;
COMMENT ON COLUMN recall.heard IS 'how many batches of events have named it';
COMMENT ON COLUMN recall.settled_at IS 'when it was last seen complete; null since something was heard of it';
CREATE INDEX recall_unsettled_idx ON recall (begun_at DESC, recall_id DESC)
    WHERE begun_at IS NOT NULL AND released_at IS NULL AND settled_at IS NULL;
CREATE INDEX recall_settled_idx ON recall (settled_at)
    WHERE begun_at IS NOT NULL AND released_at IS NULL AND settled_at IS NOT NULL;
"""

RECALLS_V2_DROP = """
DROP INDEX recall_unsettled_idx, recall_settled_idx;
ALTER TABLE recall DROP COLUMN heard, DROP COLUMN settled_at;
"""
