"""Linked wallets, and the challenges that they have used."""

from alembic import op

revision = "0002"
down_revision = "0001"

UP = """
CREATE TABLE wallet (
    wallet_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES account,
    address text NOT NULL UNIQUE CHECK (address ~ '^0x[0-9a-fA-F]{40}$'),
    chain_id bigint NOT NULL,
    linked_at timestamptz NOT NULL
);
CREATE INDEX wallet_user_idx ON wallet (user_id, wallet_id);
CREATE TABLE used_wallet_nonce (
    digest bytea PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_wallet_nonce_expiry_idx ON used_wallet_nonce (expires_at);
ALTER TABLE login ADD COLUMN wallet_id uuid;
CREATE INDEX login_wallet_idx ON login (wallet_id) WHERE wallet_id IS NOT NULL AND revoked_at IS NULL;
"""


def upgrade() -> None:
    op.execute(UP)


def downgrade() -> None:
    op.execute("ALTER TABLE login DROP COLUMN wallet_id; DROP TABLE used_wallet_nonce, wallet;")
