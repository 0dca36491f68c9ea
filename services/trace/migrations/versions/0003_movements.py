"""How goods travelled, and the journal of all that happened to lots."""

from alembic import op

from services.trace.adapters.movement_schema import MOVEMENTS_V1, MOVEMENTS_V1_DROP

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute(MOVEMENTS_V1)


def downgrade() -> None:
    op.execute(MOVEMENTS_V1_DROP)
