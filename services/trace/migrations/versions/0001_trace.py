"""The graph of goods, and the inbox that feeds it."""

from alembic import op

from chassis import schema
from services.trace.adapters.schema import GRAPH_V1, GRAPH_V1_DROP

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.INBOX_V1)
    op.execute(GRAPH_V1)


def downgrade() -> None:
    op.execute(GRAPH_V1_DROP)
    op.execute(schema.INBOX_V1_DROP)
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
