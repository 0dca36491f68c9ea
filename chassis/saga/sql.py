"""Statements of the saga store. Leases and due times run on the database's clock, which all engines share."""

START = """
WITH fresh AS (
    INSERT INTO saga (saga_id, name, version, shape, state, step, data, context, due_at, lease_owner,
                      lease_until, epoch, deadline_at, created_at, updated_at)
    VALUES ($1, $2, $3, $4, 'RUNNING', 0, $5::text::jsonb, $6::text::jsonb, clock_timestamp(), $7::text,
            CASE WHEN $7::text IS NOT NULL THEN clock_timestamp() + $8::interval END, 1, $9, $10, $10)
    ON CONFLICT (saga_id) DO NOTHING
    RETURNING saga_id
), steps AS (
    INSERT INTO saga_step (saga_id, step, direction, state, attempts, idempotency_key, started_at)
    SELECT saga_id, $11, 'action', 'STARTED', 1, $12, $10 FROM fresh WHERE $11::text IS NOT NULL
)
SELECT count(*) FROM fresh
"""

# Guarded twice: the epoch stops an engine whose lease was taken over, the revision one that does not
# know that its last commit went through.
MOVE = """
WITH held AS (
    UPDATE saga SET
        state = $4, step = $5, turned_back = $6,
        failure = coalesce(failure, $7::text::jsonb),
        data = CASE WHEN $8::text IS NULL THEN data ELSE data || $8::text::jsonb END - $23::text[],
        due_at = CASE WHEN $9::interval IS NULL THEN due_at ELSE clock_timestamp() + $9::interval END,
        lease_owner = CASE WHEN $10::boolean THEN lease_owner END,
        lease_until = CASE WHEN $10::boolean THEN clock_timestamp() + $11::interval END,
        epoch = epoch + $12::int,
        revision = revision + 1,
        updated_at = $13
    WHERE saga_id = $1 AND epoch = $2 AND revision = $3
    RETURNING saga_id
), steps AS (
    INSERT INTO saga_step (saga_id, step, direction, state, attempts, idempotency_key, started_at,
                           finished_at, error, reply)
    SELECT held.saga_id, r.step, r.direction, r.state, r.attempts, r.idempotency_key, r.started_at,
           r.finished_at, r.error::jsonb, r.reply::jsonb
    FROM held, unnest($14::text[], $15::text[], $16::text[], $17::int[], $18::text[], $19::timestamptz[],
                      $20::timestamptz[], $21::text[], $22::text[])
         AS r(step, direction, state, attempts, idempotency_key, started_at, finished_at, error, reply)
    ON CONFLICT (saga_id, step, direction) DO UPDATE SET
        state = excluded.state, attempts = excluded.attempts, started_at = excluded.started_at,
        finished_at = excluded.finished_at, error = excluded.error, reply = excluded.reply
)
SELECT count(*) FROM held
"""

CLAIM = """
WITH due AS (
    SELECT saga_id FROM saga
    WHERE state IN ('RUNNING', 'COMPENSATING') AND due_at <= now()
      AND (lease_until IS NULL OR lease_until <= now())
      AND (name, version) IN (SELECT * FROM unnest($3::text[], $4::int[]))
    ORDER BY due_at
    LIMIT $5
    FOR UPDATE SKIP LOCKED
)
UPDATE saga SET lease_owner = $1, lease_until = clock_timestamp() + $2::interval, epoch = epoch + 1
FROM due WHERE saga.saga_id = due.saga_id
RETURNING saga.*
"""

RENEW = """
UPDATE saga SET lease_until = clock_timestamp() + $2::interval
FROM unnest($3::text[], $4::bigint[]) AS mine(saga_id, epoch)
WHERE saga.saga_id = mine.saga_id AND saga.epoch = mine.epoch AND saga.lease_owner = $1
RETURNING saga.saga_id
"""

RELEASE = """
UPDATE saga SET lease_owner = NULL, lease_until = NULL
FROM unnest($2::text[], $3::bigint[]) AS mine(saga_id, epoch)
WHERE saga.saga_id = mine.saga_id AND saga.epoch = mine.epoch AND saga.lease_owner = $1
"""

UNFINISHED = """
SELECT name, version, shape, count(*) AS instances FROM saga
WHERE state IN ('RUNNING', 'COMPENSATING') OR state = 'STUCK'
GROUP BY name, version, shape ORDER BY name, version
"""

LIST = """
SELECT * FROM saga
WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR name = $2)
  AND ($3::text IS NULL OR saga_id < $3)
ORDER BY saga_id DESC LIMIT $4
"""

STUCK_COUNTS = "SELECT name, count(*) AS instances FROM saga WHERE state = 'STUCK' GROUP BY name"

PURGE = """
DELETE FROM saga WHERE saga_id IN (
    SELECT saga_id FROM saga WHERE state IN ('COMPLETED', 'COMPENSATED') AND updated_at < $1 LIMIT $2
    FOR UPDATE SKIP LOCKED
)
"""
