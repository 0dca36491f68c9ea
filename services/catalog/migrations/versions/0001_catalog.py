"""Venues, menu items and the history of prices."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE venue (
    venue_id uuid PRIMARY KEY,
    owner_id text NOT NULL,
    name text NOT NULL,
    address jsonb NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX venue_owner_idx ON venue (owner_id, venue_id);
CREATE TABLE menu_item (
    menu_item_id uuid PRIMARY KEY,
    venue_id uuid NOT NULL REFERENCES venue,
    name text NOT NULL,
    description text NOT NULL,
    price_minor bigint NOT NULL CHECK (price_minor > 0),
    currency text NOT NULL,
    ingredients jsonb NOT NULL,
    available boolean NOT NULL,
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX menu_item_venue_idx ON menu_item (venue_id, menu_item_id);
CREATE TABLE price_change (
    menu_item_id uuid NOT NULL REFERENCES menu_item DEFERRABLE INITIALLY DEFERRED,
    revision bigint NOT NULL,
    since timestamptz NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    PRIMARY KEY (menu_item_id, revision)
);
"""


def upgrade() -> None:
    op.execute(schema.IDEMPOTENCY_V1)
    op.execute(schema.OUTBOX_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE price_change, menu_item, venue;")
    op.execute(schema.OUTBOX_V1_DROP)
    op.execute(schema.IDEMPOTENCY_V1_DROP)
