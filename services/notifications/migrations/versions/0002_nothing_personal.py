"""Addresses, names and texts are no longer kept: users is asked for them when a message is sent."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # What was rendered with a person's name cannot be taken apart again; such a message is not sent.
    op.execute(
        """
        UPDATE notification SET state = 'SUPPRESSED', last_error = 'scheduled before an upgrade'
        WHERE state = 'SCHEDULED';
        UPDATE notification SET subject = '' WHERE template = 'welcome';
        ALTER TABLE notification DROP COLUMN email, DROP COLUMN text,
            ADD COLUMN parameters jsonb NOT NULL DEFAULT '{}';
        DROP TABLE contact;
        """
    )


def downgrade() -> None:
    op.execute(
        """
        CREATE TABLE contact (
            user_id text PRIMARY KEY,
            email text NOT NULL,
            marketing_email boolean NOT NULL,
            order_updates boolean NOT NULL,
            revision bigint NOT NULL,
            forgotten boolean NOT NULL
        );
        UPDATE notification SET state = 'SUPPRESSED', last_error = 'scheduled before a downgrade'
        WHERE state = 'SCHEDULED';
        ALTER TABLE notification DROP COLUMN parameters,
            ADD COLUMN email text NOT NULL DEFAULT '', ADD COLUMN text text NOT NULL DEFAULT '';
        ALTER TABLE notification ALTER COLUMN email DROP DEFAULT, ALTER COLUMN text DROP DEFAULT;
        """
    )
