"""What was heard of recalls."""

from alembic import op

from services.trace.adapters.recall_schema import RECALLS_V1, RECALLS_V1_DROP

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(RECALLS_V1)


def downgrade() -> None:
    op.execute(RECALLS_V1_DROP)
