"""Recalls block lots by name and are lifted by it; each tells of an order once. Holds reach the stock."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE quarantined_lot
            ADD COLUMN recall_id text NOT NULL DEFAULT '',
            ADD COLUMN lifted boolean NOT NULL DEFAULT false,
            DROP CONSTRAINT quarantined_lot_pkey,
            ADD PRIMARY KEY (lot_id, recall_id);
        COMMENT ON COLUMN quarantined_lot.recall_id IS 'empty for one from before recalls had names';
        COMMENT ON COLUMN quarantined_lot.lifted IS 'a tombstone: the recall ended, perhaps before it came';
        CREATE TABLE affected_order (
            recall_id text NOT NULL,
            order_id uuid NOT NULL,
            consumed boolean NOT NULL,
            PRIMARY KEY (recall_id, order_id)
        );
        CREATE TABLE lot_hold (
            lot_id uuid PRIMARY KEY,
            begun integer NOT NULL,
            ended integer NOT NULL
        );
        COMMENT ON TABLE lot_hold IS 'held while more holds have begun than ended; an end may come first';
        ALTER TABLE stock_item ADD COLUMN held boolean NOT NULL DEFAULT false;
        """
    )


def downgrade() -> None:
    op.execute(
        """
        ALTER TABLE stock_item DROP COLUMN held;
        DROP TABLE affected_order, lot_hold;
        DELETE FROM quarantined_lot WHERE lifted;
        DELETE FROM quarantined_lot a USING quarantined_lot b
            WHERE a.lot_id = b.lot_id AND a.recall_id > b.recall_id;
        ALTER TABLE quarantined_lot
            DROP CONSTRAINT quarantined_lot_pkey,
            DROP COLUMN recall_id,
            DROP COLUMN lifted,
            ADD PRIMARY KEY (lot_id);
        """
    )
