"""Credentials, logins, failed attempts and signing keys."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE account (
    user_id uuid PRIMARY KEY,
    state text NOT NULL CHECK (state IN ('ACTIVE', 'REVOKED')),
    email text,
    password_hash text,
    roles text[] NOT NULL,
    ticket_digest bytea,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (state = 'REVOKED' OR (email IS NOT NULL AND password_hash IS NOT NULL))
);
CREATE UNIQUE INDEX account_email_key ON account (lower(email));
CREATE TABLE prepared_credentials (
    ticket_digest bytea PRIMARY KEY,
    email text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX prepared_credentials_expiry_idx ON prepared_credentials (expires_at);
CREATE TABLE login (
    family_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX login_user_idx ON login (user_id) WHERE revoked_at IS NULL;
CREATE INDEX login_expiry_idx ON login (expires_at);
CREATE TABLE refresh_token (
    digest bytea PRIMARY KEY,
    family_id uuid NOT NULL REFERENCES login ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX refresh_token_family_idx ON refresh_token (family_id);
CREATE INDEX refresh_token_expiry_idx ON refresh_token (expires_at);
CREATE TABLE failed_login (
    address_digest bytea PRIMARY KEY,
    failures integer NOT NULL,
    last_at timestamptz NOT NULL
);
CREATE INDEX failed_login_last_idx ON failed_login (last_at);
CREATE TABLE signing_key (
    kid text PRIMARY KEY,
    modulus text NOT NULL,
    exponent text NOT NULL,
    sealed_private bytea NOT NULL,
    created_at timestamptz NOT NULL,
    active_from timestamptz NOT NULL,
    retired_at timestamptz
);
"""


def upgrade() -> None:
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.INBOX_V1)
    op.execute(schema.IDEMPOTENCY_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE signing_key, failed_login, refresh_token, login, prepared_credentials, account;")
    op.execute(schema.IDEMPOTENCY_V1_DROP)
    op.execute(schema.INBOX_V1_DROP)
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
