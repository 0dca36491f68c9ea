"""DDL of the event store, version 1."""

from chassis.watermark import EVENT_STORE_NAMESPACE, SequenceLog

EVENT_LOG = SequenceLog("event_position", EVENT_STORE_NAMESPACE)

CREATE_V1 = f"""
CREATE SEQUENCE event_position AS bigint CACHE 1;

CREATE TABLE event (
    position bigint NOT NULL DEFAULT nextval('event_position'),
    stream_id text NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    type text NOT NULL,
    schema_version integer NOT NULL CHECK (schema_version > 0),
    data jsonb NOT NULL,
    meta jsonb NOT NULL,
    event_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    CONSTRAINT event_pkey PRIMARY KEY (stream_id, version)
);
CREATE UNIQUE INDEX event_position_key ON event (position);
ALTER SEQUENCE event_position OWNED BY event.position;

CREATE TABLE snapshot (
    stream_id text PRIMARY KEY,
    version bigint NOT NULL,
    schema_version integer NOT NULL,
    state jsonb NOT NULL,
    taken_at timestamptz NOT NULL
);

-- One event: scalars, since arrays and their expansion cost a third of the whole call.
CREATE FUNCTION event_append(
    p_stream text, p_expected bigint, p_type text, p_schema_version integer, p_data jsonb, p_meta jsonb,
    p_event_id uuid, p_recorded_at timestamptz
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    entered text;
    appended bigint;
BEGIN{EVENT_LOG.enter_sql}
    INSERT INTO event (stream_id, version, type, schema_version, data, meta, event_id, recorded_at)
    SELECT p_stream, p_expected + 1, p_type, p_schema_version, p_data, p_meta, p_event_id, p_recorded_at
    WHERE p_expected = 0 OR EXISTS (SELECT FROM event WHERE stream_id = p_stream AND version = p_expected)
    RETURNING position INTO appended;
    IF appended IS NULL THEN
        RAISE EXCEPTION 'stream % has no version %', p_stream, p_expected
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'event_pkey';
    END IF;
    RETURN appended;
END $$;

-- Many events of many streams; p_heads names the streams that must exist, at p_head_versions.
CREATE FUNCTION event_append_batch(
    p_streams text[], p_versions bigint[], p_types text[], p_schema_versions integer[], p_data jsonb[],
    p_meta jsonb[], p_event_ids uuid[], p_recorded_at timestamptz, p_heads text[], p_head_versions bigint[]
) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    entered text;
    appended bigint[];
    missing text;
BEGIN{EVENT_LOG.enter_sql}
    SELECT head.stream_id INTO missing
    FROM unnest(p_heads, p_head_versions) AS head (stream_id, version)
    WHERE NOT EXISTS (SELECT FROM event e WHERE e.stream_id = head.stream_id AND e.version = head.version)
    LIMIT 1;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'stream % is not at the expected version', missing
            USING ERRCODE = 'unique_violation', CONSTRAINT = 'event_pkey';
    END IF;
    WITH inserted AS (
        INSERT INTO event (stream_id, version, type, schema_version, data, meta, event_id, recorded_at)
        SELECT e.*, p_recorded_at
        FROM unnest(p_streams, p_versions, p_types, p_schema_versions, p_data, p_meta, p_event_ids) AS e
        RETURNING position
    )
    SELECT array_agg(position ORDER BY position) INTO appended FROM inserted;
    RETURN appended;
END $$;
"""

DROP_V1 = """
DROP FUNCTION event_append_batch(
    text[], bigint[], text[], integer[], jsonb[], jsonb[], uuid[], timestamptz, text[], bigint[]
);
DROP FUNCTION event_append(text, bigint, text, integer, jsonb, jsonb, uuid, timestamptz);
DROP TABLE snapshot;
DROP TABLE event;
"""
