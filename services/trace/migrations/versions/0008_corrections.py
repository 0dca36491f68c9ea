"""Find what a correction names."""

from alembic import op

from services.trace.adapters.correction_schema import CORRECTIONS_V1, CORRECTIONS_V1_DROP

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute(CORRECTIONS_V1)


def downgrade() -> None:
    op.execute(CORRECTIONS_V1_DROP)
