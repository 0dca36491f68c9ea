"""One message for each recall and person, for ever; owners of venues, by id."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # What waits under the template that there was goes out under the one that there is.
    op.execute(
        """
        ALTER TABLE notification ADD COLUMN recall_id text NOT NULL DEFAULT '';
        CREATE UNIQUE INDEX notification_recall_idx ON notification (recall_id, user_id)
            WHERE recall_id <> '';
        CREATE TABLE venue_owner (
            venue_id text PRIMARY KEY,
            owner_id text NOT NULL
        );
        COMMENT ON COLUMN venue_owner.owner_id IS 'empty while only a recall has named the venue';
        CREATE TABLE recall_for_owner (
            line_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            venue_id text NOT NULL,
            recall_id text NOT NULL,
            line text NOT NULL
        );
        CREATE INDEX recall_for_owner_idx ON recall_for_owner (venue_id);
        UPDATE notification SET template = 'recall', parameters = jsonb_build_object(
            'lines', '- Lot ' || (parameters ->> 'lot_id') || ' is recalled: ' || (parameters ->> 'reason'))
        WHERE template = 'lot-recalled' AND state = 'SCHEDULED';
        """
    )


def downgrade() -> None:
    op.execute(
        """
        UPDATE notification SET state = 'SUPPRESSED', last_error = 'scheduled before a downgrade'
        WHERE template = 'recall' AND state = 'SCHEDULED';
        DROP TABLE recall_for_owner, venue_owner;
        DROP INDEX notification_recall_idx;
        ALTER TABLE notification DROP COLUMN recall_id;
        """
    )
