"""Who reported what of logistic units."""

from alembic import op

from services.trace.adapters.unit_schema import UNITS_V2, UNITS_V2_DROP

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(UNITS_V2)


def downgrade() -> None:
    op.execute(UNITS_V2_DROP)
