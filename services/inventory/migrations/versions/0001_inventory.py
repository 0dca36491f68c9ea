"""Stock, reservations, the receipt saga and what is known of recalled lots."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE stock_item (
    stock_item_id uuid PRIMARY KEY,
    venue_id uuid NOT NULL,
    lot_id uuid NOT NULL,
    product_code text NOT NULL,
    on_hand numeric(21, 6) NOT NULL CHECK (on_hand >= 0),
    reserved numeric(21, 6) NOT NULL CHECK (reserved BETWEEN 0 AND on_hand),
    unit text NOT NULL,
    expires_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    quarantined boolean NOT NULL
);
CREATE INDEX stock_item_use_idx ON stock_item (venue_id, expires_at, stock_item_id);
CREATE INDEX stock_item_product_idx ON stock_item (venue_id, product_code) WHERE on_hand > 0;
CREATE INDEX stock_item_lot_idx ON stock_item (lot_id);
CREATE TABLE quarantined_lot (
    lot_id uuid PRIMARY KEY,
    reason text NOT NULL
);
CREATE TABLE reservation (
    order_id uuid PRIMARY KEY,
    venue_id uuid,
    state text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX reservation_expiry_idx ON reservation (expires_at) WHERE state = 'HELD';
CREATE TABLE allocation (
    order_id uuid NOT NULL REFERENCES reservation,
    line integer NOT NULL,
    menu_item_id uuid NOT NULL,
    stock_item_id uuid NOT NULL REFERENCES stock_item,
    lot_id uuid NOT NULL,
    amount numeric(21, 6) NOT NULL CHECK (amount > 0),
    unit text NOT NULL,
    PRIMARY KEY (order_id, line)
);
CREATE INDEX allocation_stock_idx ON allocation (stock_item_id);
"""


def upgrade() -> None:
    op.execute(schema.IDEMPOTENCY_V1)
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.INBOX_V1)
    op.execute(schema.SAGA_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE allocation, reservation, quarantined_lot, stock_item;")
    op.execute(schema.SAGA_V1_DROP)
    op.execute(schema.INBOX_V1_DROP)
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
    op.execute(schema.IDEMPOTENCY_V1_DROP)
