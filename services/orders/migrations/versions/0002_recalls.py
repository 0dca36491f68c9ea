"""Orders hear of recalls, and remember which reached them and what the guest has back."""

from alembic import op

from chassis import schema

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(schema.INBOX_V1)
    op.execute(
        """
        ALTER TABLE customer_order
            ADD COLUMN recall_ids text[] NOT NULL DEFAULT '{}',
            ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0
                CHECK (refunded_minor BETWEEN 0 AND total_minor);
        """
    )


def downgrade() -> None:
    op.execute("ALTER TABLE customer_order DROP COLUMN recall_ids, DROP COLUMN refunded_minor;")
    op.execute(schema.INBOX_V1_DROP)
