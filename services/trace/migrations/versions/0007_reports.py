"""What partners reported of goods under way."""

from alembic import op

from services.trace.adapters.report_schema import REPORTS_V1, REPORTS_V1_DROP

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute(REPORTS_V1)


def downgrade() -> None:
    op.execute(REPORTS_V1_DROP)
