"""Tables of the saga engine."""

from chassis.audit import CREATE_V1 as AUDIT_V1

_SAGAS = """
CREATE TABLE saga (
    saga_id       text PRIMARY KEY CHECK (saga_id <> ''),
    name          text NOT NULL,
    version       integer NOT NULL,
    shape         text NOT NULL,
    state         text NOT NULL
                  CHECK (state IN ('RUNNING', 'COMPENSATING', 'COMPLETED', 'COMPENSATED', 'STUCK')),
    step          integer NOT NULL,
    turned_back   boolean NOT NULL DEFAULT false,
    data          jsonb NOT NULL,
    failure       jsonb,
    context       jsonb NOT NULL,
    due_at        timestamptz NOT NULL,
    lease_owner   text,
    lease_until   timestamptz,
    epoch         bigint NOT NULL,
    revision      bigint NOT NULL DEFAULT 0,
    deadline_at   timestamptz NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL
) WITH (fillfactor = 70);
COMMENT ON COLUMN saga.step IS 'index of the step in hand; -1 is on_failed';
COMMENT ON COLUMN saga.epoch IS 'rises with every claim; a write with an older one does nothing';
COMMENT ON COLUMN saga.revision IS 'rises with every write: a commit whose answer was lost is noticed';

CREATE INDEX saga_due ON saga (due_at) WHERE state IN ('RUNNING', 'COMPENSATING');
CREATE INDEX saga_stuck ON saga (saga_id) INCLUDE (name) WHERE state = 'STUCK';

CREATE TABLE saga_step (
    saga_id         text NOT NULL REFERENCES saga ON DELETE CASCADE,
    step            text NOT NULL,
    direction       text NOT NULL CHECK (direction IN ('action', 'undo')),
    state           text NOT NULL
                    CHECK (state IN ('STARTED', 'WAITING', 'SUCCEEDED', 'REFUSED', 'FAILED', 'UNKNOWN',
                                     'SKIPPED')),
    attempts        integer NOT NULL,
    idempotency_key text NOT NULL,
    started_at      timestamptz NOT NULL,
    finished_at     timestamptz,
    error           jsonb,
    reply           jsonb,
    PRIMARY KEY (saga_id, step, direction)
);
"""

SAGA_V1 = _SAGAS + AUDIT_V1

# The audit stays: other mechanisms write to it too (`AUDIT_V1_DROP`).
SAGA_V1_DROP = """
DROP TABLE saga_step;
DROP TABLE saga;
"""
