"""People and their registrations."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE person (
    user_id uuid PRIMARY KEY,
    email text,
    display_name text NOT NULL,
    role text NOT NULL,
    marketing_email boolean NOT NULL,
    order_updates boolean NOT NULL,
    language text NOT NULL,
    state text NOT NULL CHECK (state IN ('PENDING', 'ACTIVE', 'DELETED', 'FAILED')),
    revision bigint NOT NULL,
    request_id uuid NOT NULL,
    request_hash text NOT NULL,
    failure_reason text,
    failure_message text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK ((email IS NOT NULL) = (state IN ('PENDING', 'ACTIVE')))
);
CREATE UNIQUE INDEX person_email_key ON person (lower(email));
CREATE UNIQUE INDEX person_request_key ON person (request_id) WHERE state <> 'FAILED';
CREATE INDEX person_listed_idx ON person (user_id DESC) WHERE state IN ('PENDING', 'ACTIVE');
CREATE INDEX person_role_idx ON person (role, user_id DESC) WHERE state IN ('PENDING', 'ACTIVE');
"""


def upgrade() -> None:
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.SAGA_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE person;")
    op.execute(schema.SAGA_V1_DROP)
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
