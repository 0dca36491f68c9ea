"""A lot may come from several: parents as edges."""

from alembic import op

from services.crops.adapters.lots import LOT_PARENT_V1, LOT_PARENT_V1_DROP

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(LOT_PARENT_V1)


def downgrade() -> None:
    op.execute(LOT_PARENT_V1_DROP)
