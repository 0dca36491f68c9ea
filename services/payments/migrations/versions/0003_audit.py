"""The audit of operators' actions, which this service has had no mechanism for so far."""

from alembic import op

from chassis import schema

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(schema.AUDIT_V1)


def downgrade() -> None:
    op.execute(schema.AUDIT_V1_DROP)
