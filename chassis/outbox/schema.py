"""Tables and functions of the outbox."""

from chassis.watermark import OUTBOX_NAMESPACE, SequenceLog

OUTBOX_LOG = SequenceLog("outbox_position", OUTBOX_NAMESPACE)

# Rows stay for ever: an emptied broker is refilled from here, and a consumer that joins years later
# finds its first event. There is no "sent" flag either, since a broker's life is not the row's. A
# deployment that outgrows this partitions the table by time and accepts a shorter memory.
#
# Counters first, then the watermark, then positions. The row locks of outbox_key make the order of
# positions equal to the order of key_seq within a key, because both are taken while they are held;
# the watermark comes after them, so that waiting for a busy key does not hold the relay back.
OUTBOX_V1 = f"""
CREATE SEQUENCE outbox_position CACHE 1;

CREATE TABLE outbox (
    position    bigint PRIMARY KEY,
    message_id  uuid NOT NULL,
    topic       text NOT NULL,
    key         text NOT NULL,
    key_seq     bigint NOT NULL,
    headers     jsonb NOT NULL,
    payload     bytea NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN outbox.key_seq IS '1, 2, 3, ... without gaps per topic and key';
COMMENT ON COLUMN outbox.payload IS 'the envelope without key_sequence; the relay adds it from key_seq';

CREATE TABLE outbox_key (
    topic    text NOT NULL,
    key      text NOT NULL,
    last_seq bigint NOT NULL,
    PRIMARY KEY (topic, key)
) WITH (fillfactor = 70);

CREATE TABLE relay_cursor (
    incarnation text NOT NULL,
    shard       text NOT NULL,
    position    bigint NOT NULL DEFAULT 0,
    epoch       bigint NOT NULL DEFAULT 1,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (incarnation, shard)
) WITH (fillfactor = 50);
COMMENT ON COLUMN relay_cursor.incarnation IS 'one life of a broker; an empty one starts a new life';
COMMENT ON COLUMN relay_cursor.epoch IS 'rises with every leader; an older leader cannot move the cursor';

CREATE FUNCTION outbox_publish(ids uuid[], topics text[], keys text[], headers jsonb[], payloads bytea[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    entered text;
    counted_topics text[];
    counted_keys text[];
    counts bigint[];
BEGIN
    WITH counter AS (
        -- Sorted, so that two transactions with the same keys wait for each other instead of deadlocking.
        INSERT INTO outbox_key AS k (topic, key, last_seq)
        SELECT m.topic, m.key, count(*) FROM unnest(topics, keys) AS m (topic, key)
        GROUP BY m.topic, m.key ORDER BY m.topic, m.key
        ON CONFLICT (topic, key) DO UPDATE SET last_seq = k.last_seq + excluded.last_seq
        RETURNING k.topic, k.key, k.last_seq
    )
    SELECT array_agg(topic), array_agg(key), array_agg(last_seq) FROM counter
    INTO counted_topics, counted_keys, counts;
{OUTBOX_LOG.enter_sql}
    INSERT INTO outbox (position, message_id, topic, key, key_seq, headers, payload)
    SELECT nextval('outbox_position'), s.id, s.topic, s.key, s.seq, s.headers, s.payload
    FROM (
        SELECT m.id, m.topic, m.key, m.headers, m.payload,
               counter.last_seq + row_number() OVER (PARTITION BY m.topic, m.key ORDER BY m.ordinal)
                                - count(*) OVER (PARTITION BY m.topic, m.key) AS seq
        FROM unnest(ids, topics, keys, headers, payloads)
             WITH ORDINALITY AS m (id, topic, key, headers, payload, ordinal)
        JOIN unnest(counted_topics, counted_keys, counts) AS counter (topic, key, last_seq)
          ON counter.topic = m.topic AND counter.key = m.key
        ORDER BY m.ordinal
    ) AS s;
END $$;

-- One event, as most transactions have: scalars, since arrays and their expansion cost half of the call.
CREATE FUNCTION outbox_publish_one(id uuid, topic_ text, key_ text, headers_ jsonb, payload_ bytea)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    entered text;
    seq bigint;
BEGIN
    INSERT INTO outbox_key AS k (topic, key, last_seq) VALUES (topic_, key_, 1)
    ON CONFLICT (topic, key) DO UPDATE SET last_seq = k.last_seq + 1 RETURNING k.last_seq INTO seq;
{OUTBOX_LOG.enter_sql}
    INSERT INTO outbox (position, message_id, topic, key, key_seq, headers, payload)
    VALUES (nextval('outbox_position'), id, topic_, key_, seq, headers_, payload_);
END $$;

CREATE FUNCTION outbox_read(after bigint, most int, shard int, shards int)
RETURNS TABLE ("end" bigint, held_back boolean, "position" bigint, topic text, key text, key_seq bigint,
               headers jsonb, payload bytea)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
    ceiling bigint;
BEGIN{OUTBOX_LOG.ceiling_sql}
    IF ceiling > after THEN
        RETURN QUERY
        SELECT ceiling, false, o.position, o.topic, o.key, o.key_seq, o.headers, o.payload FROM outbox AS o
        WHERE o.position > after AND o.position <= ceiling
          AND (shards = 1 OR mod(hashtext(o.key)::bigint + 2147483648, shards) = shard)
        ORDER BY o.position LIMIT most;
    END IF;
    IF NOT FOUND THEN
        -- An open transaction whose rollback would wake nobody may be all that is there.
        RETURN QUERY SELECT ceiling, ceiling = after AND {OUTBOX_LOG.floor_sql} > after,
                            NULL::bigint, NULL, NULL, NULL::bigint, NULL::jsonb, NULL::bytea;
    END IF;
END $$;
COMMENT ON FUNCTION outbox_read IS
    'rows behind a cursor and below the watermark, or one row without position that says how far they reach';
"""

OUTBOX_V1_DROP = """
DROP FUNCTION outbox_read;
DROP FUNCTION outbox_publish_one;
DROP FUNCTION outbox_publish;
DROP TABLE relay_cursor;
DROP TABLE outbox_key;
DROP TABLE outbox;
DROP SEQUENCE outbox_position;
"""
