"""Tables and functions of the inbox."""

from chassis.audit import CREATE_V1 as AUDIT_V1

_PARKING = """
CREATE TABLE inbox_key (
    consumer text NOT NULL,
    topic    text NOT NULL,
    key      text NOT NULL,
    source   text NOT NULL,
    last_seq bigint NOT NULL,
    parked   boolean NOT NULL DEFAULT false,
    PRIMARY KEY (consumer, topic, key, source)
) WITH (fillfactor = 70);
COMMENT ON COLUMN inbox_key.last_seq IS 'events up to here are applied, parked or discarded; none above is';
COMMENT ON COLUMN inbox_key.source IS 'the producer, whose outbox counts the sequence';

CREATE TABLE parked_key (
    consumer  text NOT NULL,
    topic     text NOT NULL,
    key       text NOT NULL,
    source    text NOT NULL,
    reason    text NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, topic, key, source)
);

CREATE TABLE parked_msg (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer  text NOT NULL,
    topic     text NOT NULL,
    key       text NOT NULL,
    source    text NOT NULL,
    key_seq   bigint NOT NULL,
    event_id  text NOT NULL,
    headers   jsonb NOT NULL,
    envelope  bytea NOT NULL,
    reason    text NOT NULL,
    attempts  integer NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (consumer, topic, key, source, key_seq, event_id)
);
COMMENT ON COLUMN parked_msg.key_seq IS '0 for a message that names no sequence, so that it blocks no key';
"""

_LOCK = """
-- Locks the keys' rows, making those that are missing, and gives their state. A row that somebody else
-- holds (a replay, or a consumer that is losing the partition) is left out instead of waited for,
-- because the other keys of the batch should not wait.
-- LATERAL and upsert, not joins: the plans are kept from when the table was small, and a join that was
-- planned then reads all of a consumer's keys for each batch ever after.
CREATE FUNCTION inbox_lock(consumer_ text, topic_ text, keys text[], sources text[])
RETURNS TABLE (ordinal bigint, last_seq bigint, parked boolean) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO inbox_key AS i (consumer, topic, key, source, last_seq)
    SELECT consumer_, topic_, m.key, m.source, 0 FROM unnest(keys, sources) AS m (key, source)
    ORDER BY m.key, m.source
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT m.ordinal, locked.last_seq, locked.parked
    FROM unnest(keys, sources) WITH ORDINALITY AS m (key, source, ordinal)
    CROSS JOIN LATERAL (
        SELECT i.last_seq, i.parked FROM inbox_key i
        WHERE i.consumer = consumer_ AND i.topic = topic_ AND i.key = m.key AND i.source = m.source
        FOR UPDATE SKIP LOCKED
    ) AS locked;
END $$;
"""

INBOX_V1 = _PARKING + AUDIT_V1 + _LOCK

# The audit may hold actions of other mechanisms too, so it stays.
INBOX_V1_DROP = """
DROP FUNCTION inbox_lock;
DROP TABLE parked_msg;
DROP TABLE parked_key;
DROP TABLE inbox_key;
"""
