"""Expired vault lots are found quickly; deposits know what payments gave back."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(
        """
        CREATE INDEX vault_lot_expiry_idx ON vault_lot (expires_at) WHERE remaining > 0 AND NOT reserved;
        ALTER TABLE money_deposit ADD COLUMN refunded bigint NOT NULL DEFAULT 0;
        """
    )


def downgrade() -> None:
    op.execute("DROP INDEX vault_lot_expiry_idx; ALTER TABLE money_deposit DROP COLUMN refunded;")
