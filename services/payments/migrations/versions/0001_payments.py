"""Payments, refunds and the simulator's books."""

from alembic import op

from chassis import schema

revision = "0001"
down_revision = None

OWN_TABLES = """
CREATE TABLE payment (
    payment_id uuid PRIMARY KEY,
    order_id uuid NOT NULL UNIQUE,
    payer_id text NOT NULL,
    amount_minor bigint CHECK (amount_minor > 0),
    currency text,
    method text NOT NULL,
    state text NOT NULL,
    status text NOT NULL,
    decline_code text NOT NULL,
    refunded_minor bigint NOT NULL CHECK (refunded_minor BETWEEN 0 AND coalesce(amount_minor, 0)),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE INDEX payment_payer_idx ON payment (payer_id, payment_id DESC);
CREATE TABLE refund (
    request_id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES payment (order_id),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency text NOT NULL,
    asked_minor bigint,
    asked_currency text,
    reason text NOT NULL,
    done boolean NOT NULL,
    promised_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refund_promised_idx ON refund (promised_at) WHERE NOT done;
CREATE INDEX refund_order_idx ON refund (order_id);
CREATE TABLE simulated_charge (
    key text PRIMARY KEY,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL,
    decline_code text NOT NULL,
    captured_minor bigint NOT NULL DEFAULT 0,
    refunded_minor bigint NOT NULL DEFAULT 0 CHECK (refunded_minor <= captured_minor)
);
CREATE TABLE simulated_refund (
    refund_key text PRIMARY KEY,
    key text NOT NULL REFERENCES simulated_charge (key),
    amount_minor bigint NOT NULL
);
"""


def upgrade() -> None:
    op.execute(schema.OUTBOX_V1)
    op.execute(OWN_TABLES)


def downgrade() -> None:
    op.execute("DROP TABLE simulated_refund, simulated_charge, refund, payment;")
    op.execute(schema.OUTBOX_V1_DROP)
