"""Listings whose goods are past their expiry have ended, and are found quickly."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE listing ADD COLUMN expired boolean NOT NULL DEFAULT false;
        CREATE INDEX listing_expiry_idx ON listing (expires_at)
            WHERE NOT cancelled AND NOT expired AND remaining > 0;
        """
    )


def downgrade() -> None:
    # What was given back of them stays so: for who knows no expired ones they were cancelled.
    op.execute(
        """
        UPDATE listing SET cancelled = true, state = 'CANCELLED' WHERE expired;
        DROP INDEX listing_expiry_idx;
        ALTER TABLE listing DROP COLUMN expired;
        """
    )
