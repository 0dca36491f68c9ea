"""Pools, their ledger in double entry, the lots and payments behind the balances; campaigns."""

from alembic import op

revision = "0002"
down_revision = "0001"

POOLS = """
CREATE TABLE pool (
    pool_id uuid PRIMARY KEY,
    product_code text NOT NULL,
    unit text NOT NULL,
    currency text NOT NULL,
    fee_bps int NOT NULL,
    state text NOT NULL,
    goods bigint NOT NULL CHECK (goods >= 0),
    money bigint NOT NULL CHECK (money >= 0),
    shares bigint NOT NULL CHECK (shares >= 0),
    created_by uuid NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX pool_pair_idx ON pool (product_code, unit, currency) WHERE state <> 'CLOSED';
CREATE TABLE pool_swap (
    swap_id uuid PRIMARY KEY,
    pool_id uuid NOT NULL REFERENCES pool,
    user_id uuid NOT NULL,
    side text NOT NULL,
    goods bigint NOT NULL CHECK (goods > 0),
    money bigint NOT NULL CHECK (money > 0),
    goods_after bigint NOT NULL,
    money_after bigint NOT NULL,
    swapped_at timestamptz NOT NULL
);
CREATE INDEX pool_swap_idx ON pool_swap (pool_id, swap_id DESC);
"""

LEDGER = """
CREATE TABLE ledger_movement (
    movement_id uuid PRIMARY KEY,
    kind text NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ledger_posting (
    movement_id uuid NOT NULL REFERENCES ledger_movement,
    holder text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (movement_id, holder, asset)
);
CREATE TABLE ledger_balance (
    holder text NOT NULL,
    asset text NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0 OR holder = 'outside'),
    PRIMARY KEY (holder, asset)
);
CREATE FUNCTION ledger_require_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ledger_posting WHERE movement_id = NEW.movement_id GROUP BY asset HAVING sum(amount) <> 0
    ) THEN
        RAISE EXCEPTION 'movement % is not balanced', NEW.movement_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ledger_posting_balanced AFTER INSERT OR UPDATE ON ledger_posting
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ledger_require_balanced();
"""

BEHIND = """
CREATE TABLE vault_lot (
    deposit_id uuid PRIMARY KEY,
    lot_id uuid NOT NULL,
    commitment_id uuid NOT NULL UNIQUE,
    owner_id uuid NOT NULL,
    product_code text NOT NULL,
    unit text NOT NULL,
    remaining bigint NOT NULL CHECK (remaining >= 0),
    expires_at timestamptz NOT NULL,
    reserved boolean NOT NULL
);
CREATE INDEX vault_lot_product_idx ON vault_lot (product_code, unit, expires_at, deposit_id)
    WHERE remaining > 0;
CREATE TABLE money_deposit (
    deposit_id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    withdrawn bigint NOT NULL DEFAULT 0 CHECK (withdrawn BETWEEN 0 AND amount)
);
"""

CAMPAIGNS = """
CREATE TABLE subscription (
    user_id uuid NOT NULL,
    topic text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, topic)
);
CREATE INDEX subscription_topic_idx ON subscription (topic, user_id);
CREATE TABLE campaign (
    campaign_id uuid PRIMARY KEY,
    owner_id uuid NOT NULL,
    product_code text NOT NULL,
    title text NOT NULL,
    message text NOT NULL,
    state text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX campaign_owner_idx ON campaign (owner_id, campaign_id DESC);
CREATE TABLE campaign_recipient (
    campaign_id uuid NOT NULL REFERENCES campaign,
    user_id uuid NOT NULL,
    state text NOT NULL,
    PRIMARY KEY (campaign_id, user_id)
);
CREATE INDEX campaign_recipient_open_idx ON campaign_recipient (campaign_id, user_id) WHERE state = 'PENDING';
"""


def upgrade() -> None:
    op.execute(POOLS)
    op.execute(LEDGER)
    op.execute(BEHIND)
    op.execute(CAMPAIGNS)


def downgrade() -> None:
    op.execute("DROP TABLE campaign_recipient, campaign, subscription, money_deposit, vault_lot;")
    op.execute("DROP TABLE ledger_balance, ledger_posting, ledger_movement, pool_swap, pool;")
    op.execute("DROP FUNCTION ledger_require_balanced();")
