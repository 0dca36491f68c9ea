"""Collections, listings, purchases, and what is known of recalled and held lots."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE collection (
    collection_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    request_id uuid NOT NULL,
    request_hash text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (owner_id, request_id)
);
CREATE INDEX collection_owner_idx ON collection (owner_id, collection_id DESC);
CREATE TABLE collection_lot (
    collection_id uuid NOT NULL REFERENCES collection,
    lot_id uuid NOT NULL,
    PRIMARY KEY (collection_id, lot_id)
);
CREATE TABLE lot_standing (
    lot_id uuid PRIMARY KEY,
    held boolean NOT NULL DEFAULT false,
    held_changed_at timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE TABLE lot_recall (
    lot_id uuid NOT NULL REFERENCES lot_standing,
    recall_id text NOT NULL,
    released boolean NOT NULL,
    PRIMARY KEY (lot_id, recall_id)
);
CREATE TABLE listing (
    listing_id uuid PRIMARY KEY,
    seller_id uuid NOT NULL,
    lot_id uuid NOT NULL,
    lot_code text NOT NULL,
    product_code text NOT NULL,
    commitment_id uuid NOT NULL UNIQUE,
    unit text NOT NULL,
    quantity numeric(21, 6) NOT NULL CHECK (quantity > 0),
    remaining numeric(21, 6) NOT NULL CHECK (remaining >= 0),
    taken numeric(21, 6) NOT NULL CHECK (taken >= 0),
    price_minor bigint NOT NULL CHECK (price_minor > 0),
    currency text NOT NULL,
    price_unit text NOT NULL,
    cancelled boolean NOT NULL,
    block_reason text NOT NULL,
    state text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (remaining + taken <= quantity)
);
CREATE INDEX listing_lot_idx ON listing (lot_id);
CREATE INDEX listing_product_idx ON listing (product_code, listing_id DESC);
CREATE INDEX listing_seller_idx ON listing (seller_id, listing_id DESC);
CREATE TABLE purchase (
    purchase_id uuid PRIMARY KEY,
    listing_id uuid NOT NULL REFERENCES listing,
    lot_id uuid NOT NULL,
    product_code text NOT NULL,
    seller_id uuid NOT NULL,
    buyer_id uuid NOT NULL,
    request_id uuid NOT NULL,
    request_hash text NOT NULL,
    amount numeric(21, 6) NOT NULL CHECK (amount > 0),
    unit text NOT NULL,
    price_minor bigint NOT NULL,
    price_unit text NOT NULL,
    total_minor bigint NOT NULL CHECK (total_minor > 0),
    currency text NOT NULL,
    state text NOT NULL,
    delivered_lot_id text NOT NULL,
    delivered_lot_code text NOT NULL,
    failure_reason text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (buyer_id, request_id)
);
CREATE INDEX purchase_buyer_idx ON purchase (buyer_id, purchase_id DESC);
CREATE INDEX purchase_seller_idx ON purchase (seller_id, purchase_id DESC);
CREATE INDEX purchase_listing_idx ON purchase (listing_id, purchase_id DESC);
CREATE INDEX purchase_price_idx ON purchase (product_code, updated_at DESC, purchase_id DESC)
    WHERE state = 'COMPLETED';
"""


def upgrade() -> None:
    op.execute(schema.IDEMPOTENCY_V1)
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.INBOX_V1)
    op.execute(schema.SAGA_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE purchase, listing, lot_recall, lot_standing, collection_lot, collection;")
    op.execute(schema.SAGA_V1_DROP)
    op.execute(schema.INBOX_V1_DROP)
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
    op.execute(schema.IDEMPOTENCY_V1_DROP)
