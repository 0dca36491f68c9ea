"""What crops has heard of other services."""

from alembic import op

from chassis import schema

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(schema.INBOX_V1)


def downgrade() -> None:
    op.execute(schema.INBOX_V1_DROP)
