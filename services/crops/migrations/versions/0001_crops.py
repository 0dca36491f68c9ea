"""The event store of lots, their codes, the read models and the transfer saga."""

from alembic import op

from chassis import schema
from services.crops.adapters.lots import LOT_CODE_V1
from services.crops.adapters.projection import LOTS

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.execute(schema.EVENT_STORE_V1)
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.SAGA_V1)
    op.execute(schema.PROJECTION_V1)
    op.execute(schema.IDEMPOTENCY_V1)
    op.execute(LOT_CODE_V1)
    # The read models in today's shape: where they have an older one, the projection rebuilds itself.
    op.execute(LOTS.create_sql())


def downgrade() -> None:
    op.execute("DROP TABLE lot_code, " + ", ".join(table.name for table in LOTS.tables))
    op.execute(schema.IDEMPOTENCY_V1_DROP)
    op.execute(schema.PROJECTION_V1_DROP)
    op.execute(schema.SAGA_V1_DROP)
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
    op.execute(schema.EVENT_STORE_V1_DROP)
