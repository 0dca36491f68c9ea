"""Kept refunds apart from promised ones; payment methods only until the provider has answered."""

from alembic import op

revision = "0002"
down_revision = "0001"

_STATUS = """
UPDATE payment SET status = CASE
    WHEN refunded_minor = 0 THEN 'CAPTURED'
    WHEN refunded_minor = amount_minor THEN 'REFUNDED' ELSE 'PARTIALLY_REFUNDED' END
WHERE state = 'CAPTURED';
"""


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE payment RENAME COLUMN refunded_minor TO promised_minor;
        ALTER TABLE payment RENAME CONSTRAINT payment_check TO payment_promised_check;
        ALTER TABLE payment ADD COLUMN refunded_minor bigint NOT NULL DEFAULT 0,
            ADD COLUMN method_digest text NOT NULL DEFAULT '',
            ADD CONSTRAINT payment_refunded_check CHECK (refunded_minor BETWEEN 0 AND promised_minor);
        UPDATE payment SET refunded_minor = kept.minor
        FROM (
            SELECT order_id, sum(amount_minor)::bigint AS minor FROM refund WHERE done GROUP BY order_id
        ) kept
        WHERE kept.order_id = payment.order_id;
        UPDATE payment SET method_digest =
            encode(sha256(convert_to(payment_id || ' ' || method, 'UTF8')), 'hex') WHERE method <> '';
        UPDATE payment SET method = '' WHERE state <> 'PENDING';
        """
        + _STATUS
    )


def downgrade() -> None:
    op.execute(
        """
        ALTER TABLE payment DROP CONSTRAINT payment_refunded_check, DROP COLUMN method_digest,
            DROP COLUMN refunded_minor;
        ALTER TABLE payment RENAME CONSTRAINT payment_promised_check TO payment_check;
        ALTER TABLE payment RENAME COLUMN promised_minor TO refunded_minor;
        """
        + _STATUS
    )
