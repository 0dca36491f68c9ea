"""Failed registrations are found when their time is over."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("CREATE INDEX person_failed_idx ON person (updated_at) WHERE state = 'FAILED';")


def downgrade() -> None:
    op.execute("DROP INDEX person_failed_idx;")
