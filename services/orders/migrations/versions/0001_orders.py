"""Orders, the history of their states, and carts."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE customer_order (
    order_id uuid PRIMARY KEY,
    guest_id text NOT NULL,
    venue_id uuid NOT NULL,
    lines jsonb NOT NULL,
    total_minor bigint NOT NULL CHECK (total_minor > 0),
    currency text NOT NULL,
    state text NOT NULL,
    revision integer NOT NULL,
    failure_reason text NOT NULL,
    request_id uuid NOT NULL,
    request_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    UNIQUE (guest_id, request_id)
);
CREATE INDEX customer_order_guest_idx ON customer_order (guest_id, order_id DESC);
CREATE INDEX customer_order_venue_idx ON customer_order (venue_id, order_id DESC);
CREATE TABLE order_change (
    order_id uuid NOT NULL REFERENCES customer_order,
    revision integer NOT NULL,
    state text NOT NULL,
    failure_reason text NOT NULL,
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, revision)
);
CREATE TABLE cart (
    guest_id text PRIMARY KEY,
    venue_id text NOT NULL,
    items jsonb NOT NULL,
    revision bigint NOT NULL,
    updated_at timestamptz
);
"""


def upgrade() -> None:
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.SAGA_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE cart, order_change, customer_order;")
    op.execute(schema.SAGA_V1_DROP)
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
