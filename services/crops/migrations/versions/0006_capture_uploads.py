"""Documents that are captured from parts, and handovers of the log's signing key."""

from alembic import op

from chassis import schema
from services.crops.adapters.epcis_schema import EPCIS_V2, EPCIS_V2_DROP

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(EPCIS_V2)
    op.execute(schema.MERKLE_LOG_V2)


def downgrade() -> None:
    op.execute(schema.MERKLE_LOG_V2_DROP)
    op.execute(EPCIS_V2_DROP)
