"""Versions of policies and settings, and what each replica knows of the fleet."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE control_revision (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    revision bigint NOT NULL
);
INSERT INTO control_revision (revision) VALUES (0);
CREATE TABLE setting_version (
    kind text NOT NULL CHECK (kind IN ('traffic', 'edge', 'config')),
    name text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    value jsonb,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL,
    why text NOT NULL,
    PRIMARY KEY (kind, name, version)
);
CREATE TABLE replica_memory (
    replica text PRIMARY KEY,
    data text NOT NULL,
    saved_at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    op.execute(schema.OUTBOX_V1)
    op.execute(schema.AUDIT_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE replica_memory, setting_version, control_revision;")
    op.execute(schema.AUDIT_V1_DROP)
    op.execute(schema.OUTBOX_V1_DROP)
