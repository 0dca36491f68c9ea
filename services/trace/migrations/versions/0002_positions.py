"""Positions, by which all pages of a recall scope are of one state of knowledge."""

from alembic import op

from services.trace.adapters.schema import POSITIONS_V1, POSITIONS_V1_DROP

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute(POSITIONS_V1)


def downgrade() -> None:
    op.execute(POSITIONS_V1_DROP)
