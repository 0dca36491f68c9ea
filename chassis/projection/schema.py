"""DDL of the projection checkpoints, version 1."""

CREATE_V1 = """
CREATE TABLE projection (
    name text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    status text NOT NULL CHECK (status IN ('live', 'building', 'differs')),
    logic_version integer NOT NULL,
    position bigint NOT NULL,
    last_error text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);
CREATE UNIQUE INDEX projection_live_key ON projection (name) WHERE status = 'live';
CREATE UNIQUE INDEX projection_next_key ON projection (name) WHERE status <> 'live';
"""

DROP_V1 = """
DROP TABLE projection;
"""
