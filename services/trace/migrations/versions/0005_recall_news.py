"""Whether there is anything new to say of a recall."""

from alembic import op

from services.trace.adapters.recall_schema import RECALLS_V2, RECALLS_V2_DROP

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(RECALLS_V2)


def downgrade() -> None:
    op.execute(RECALLS_V2_DROP)
