"""The delivery log and the contacts."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE notification (
    notification_id uuid PRIMARY KEY,
    source text NOT NULL,
    user_id text NOT NULL,
    template text NOT NULL,
    category text NOT NULL,
    email text NOT NULL,
    subject text NOT NULL,
    text text NOT NULL,
    created_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    state text NOT NULL,
    attempts integer NOT NULL,
    last_error text NOT NULL,
    delivered_at timestamptz,
    UNIQUE (source, user_id, template)
);
CREATE INDEX notification_due_idx ON notification (due_at) WHERE state = 'SCHEDULED';
CREATE INDEX notification_user_idx ON notification (user_id, notification_id DESC);
CREATE TABLE contact (
    user_id text PRIMARY KEY,
    email text NOT NULL,
    marketing_email boolean NOT NULL,
    order_updates boolean NOT NULL,
    revision bigint NOT NULL,
    forgotten boolean NOT NULL
);
"""


def upgrade() -> None:
    op.execute(schema.IDEMPOTENCY_V1)
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.INBOX_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE contact, notification;")
    op.execute(schema.INBOX_V1_DROP)
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
    op.execute(schema.IDEMPOTENCY_V1_DROP)
