"""DDL of the tamper-evident log."""

APPEND_LOCK = 3 << 48
"""Advisory key that appends hold, for the length of their commit; see `chassis.watermark` for 1 and 2."""
HANDOVER_LOCK = APPEND_LOCK + 1
"""Advisory key that an exchange of the signing key holds, and in shared mode whoever signs."""

CREATE_V1 = f"""
CREATE TABLE log_leaf (
    leaf_index bigint PRIMARY KEY CHECK (leaf_index >= 0),
    position bigint NOT NULL,
    event_id uuid NOT NULL UNIQUE,
    hash bytea NOT NULL CHECK (length(hash) = 32)
);

-- Complete subtrees above the leaves; a row is written once and never changed.
CREATE TABLE log_node (
    level smallint NOT NULL CHECK (level > 0),
    node_index bigint NOT NULL CHECK (node_index >= 0),
    hash bytea NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, node_index)
);

CREATE TABLE log_checkpoint (
    size bigint PRIMARY KEY CHECK (size > 0),
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamptz NOT NULL
);

-- Each statement of a volatile function sees what was committed before it began, so that after the lock
-- the size is that of the last commit. p_hashes are all leaf hashes in a row.
CREATE FUNCTION log_append(p_event_ids uuid[], p_positions bigint[], p_hashes bytea) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_size bigint;
    v_level integer := 0;
    v_from bigint;
    v_until bigint;
    v_hash bytea := p_hashes;
BEGIN
    PERFORM pg_advisory_xact_lock({APPEND_LOCK});
    v_size := coalesce((SELECT leaf_index + 1 FROM log_leaf ORDER BY leaf_index DESC LIMIT 1), 0);
    v_from := v_size;
    -- One leaf, by far the most frequent: scalars cost half of what sets do.
    IF cardinality(p_event_ids) = 1 THEN
        INSERT INTO log_leaf VALUES (v_size, p_positions[1], p_event_ids[1], v_hash);
        WHILE v_from & 1 = 1 LOOP
            IF v_level = 0 THEN
                v_hash := sha256('\\x01'::bytea || (
                    SELECT hash FROM log_leaf WHERE leaf_index = v_from - 1
                ) || v_hash);
            ELSE
                v_hash := sha256('\\x01'::bytea || (
                    SELECT hash FROM log_node WHERE level = v_level AND node_index = v_from - 1
                ) || v_hash);
            END IF;
            v_level := v_level + 1;
            v_from := v_from >> 1;
            INSERT INTO log_node VALUES (v_level, v_from, v_hash);
        END LOOP;
        RETURN v_size;
    END IF;
    INSERT INTO log_leaf
    SELECT v_size + ordinal - 1, position, event_id,
           substring(p_hashes FROM ordinal::integer * 32 - 31 FOR 32)
    FROM unnest(p_event_ids, p_positions) WITH ORDINALITY AS leaf (event_id, position, ordinal);
    v_until := v_size + cardinality(p_event_ids);
    LOOP
        v_level := v_level + 1;
        v_from := v_from >> 1;
        v_until := v_until >> 1;
        EXIT WHEN v_from = v_until;
        -- Subqueries, not joins: they can only become index lookups.
        IF v_level = 1 THEN
            INSERT INTO log_node
            SELECT 1, i, sha256('\\x01'::bytea || (SELECT hash FROM log_leaf WHERE leaf_index = 2 * i)
                                             || (SELECT hash FROM log_leaf WHERE leaf_index = 2 * i + 1))
            FROM generate_series(v_from, v_until - 1) AS i;
        ELSE
            INSERT INTO log_node
            SELECT v_level, i, sha256('\\x01'::bytea
                || (SELECT hash FROM log_node WHERE level = v_level - 1 AND node_index = 2 * i)
                || (SELECT hash FROM log_node WHERE level = v_level - 1 AND node_index = 2 * i + 1))
            FROM generate_series(v_from, v_until - 1) AS i;
        END IF;
    END LOOP;
    RETURN v_size;
END $$;
"""

DROP_V1 = """
DROP FUNCTION log_append(uuid[], bigint[], bytea);
DROP TABLE log_checkpoint;
DROP TABLE log_node;
DROP TABLE log_leaf;
"""

CREATE_V2 = """
CREATE TABLE log_handover (
    number integer PRIMARY KEY CHECK (number > 0),
    size bigint NOT NULL CHECK (size >= 0),
    root bytea NOT NULL,
    note text NOT NULL,
    signed_at timestamptz NOT NULL
);
COMMENT ON TABLE log_handover IS 'checkpoints at which another key took over, signed by both';
"""

DROP_V2 = "DROP TABLE log_handover;"
