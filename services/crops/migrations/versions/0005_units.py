"""Which lots are on which logistic unit."""

from alembic import op

from services.crops.adapters.units import UNIT_LOT_V1, UNIT_LOT_V1_DROP

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(UNIT_LOT_V1)


def downgrade() -> None:
    op.execute(UNIT_LOT_V1_DROP)
