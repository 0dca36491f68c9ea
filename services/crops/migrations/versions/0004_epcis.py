"""Visibility events of partners (EPCIS): indexes, findings, capture jobs."""

from alembic import op

from services.crops.adapters.epcis_schema import EPCIS_V1, EPCIS_V1_DROP

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(EPCIS_V1)


def downgrade() -> None:
    op.execute(EPCIS_V1_DROP)
