"""The tamper-evident log of the lots' history; events from before are adopted when the service starts."""

from alembic import op

from chassis import schema

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(schema.MERKLE_LOG_V1)


def downgrade() -> None:
    op.execute(schema.MERKLE_LOG_V1_DROP)
