"""What recalls take off menus, and the inbox that tells of them."""

from alembic import op

from chassis import schema

revision = "0003"
down_revision = "0002"

OWN_TABLES = """
ALTER TABLE menu_item
    ADD COLUMN recall_ids text[] NOT NULL DEFAULT '{}',
    ADD COLUMN put_back_later boolean NOT NULL DEFAULT false;
CREATE TABLE quarantined_stock (
    stock_item_id text PRIMARY KEY,
    venue_id text NOT NULL,
    lot_id text NOT NULL DEFAULT '',
    product_code text NOT NULL DEFAULT '',
    begun_at timestamptz,
    lifted_at timestamptz,
    holds boolean NOT NULL GENERATED ALWAYS AS (
        begun_at IS NOT NULL AND (lifted_at IS NULL OR begun_at > lifted_at)
    ) STORED
);
CREATE INDEX quarantined_stock_venue_idx ON quarantined_stock (venue_id) WHERE holds;
CREATE TABLE taken_off (
    recall_id text NOT NULL,
    menu_item_id text NOT NULL,
    PRIMARY KEY (recall_id, menu_item_id)
);
"""


def upgrade() -> None:
    op.execute(schema.INBOX_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE taken_off, quarantined_stock;")
    op.execute("ALTER TABLE menu_item DROP COLUMN recall_ids, DROP COLUMN put_back_later;")
    op.execute(schema.INBOX_V1_DROP)
