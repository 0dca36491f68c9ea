"""Tables of captured visibility events; all but the jobs are derived from the event store."""

import hashlib
from typing import Final

STREAM_PREFIX: Final = "epcis:"
_LONGEST_KEY: Final = 512  # bytes; an entry of an index has at most 2,704

EPCIS_V1: Final = """
CREATE TABLE epcis_event (
    position bigint PRIMARY KEY,
    event_key text NOT NULL,
    declares_error boolean NOT NULL,
    event_hash text NOT NULL,
    event_id text NOT NULL,
    ledger_event_id uuid NOT NULL,
    captured_by text NOT NULL,
    record_time timestamptz NOT NULL,
    event_time timestamptz NOT NULL,
    size integer NOT NULL,
    type text NOT NULL,
    action text,
    biz_step text,
    disposition text,
    read_point text,
    biz_location text,
    transformation_id text,
    UNIQUE (event_key, declares_error)
);
CREATE INDEX ON epcis_event (event_time);
CREATE INDEX ON epcis_event (type, position);
CREATE INDEX ON epcis_event (biz_step, position) WHERE biz_step IS NOT NULL;
CREATE INDEX ON epcis_event (disposition, position) WHERE disposition IS NOT NULL;
CREATE INDEX ON epcis_event (read_point, position) WHERE read_point IS NOT NULL;
CREATE INDEX ON epcis_event (biz_location, position) WHERE biz_location IS NOT NULL;
CREATE INDEX ON epcis_event (transformation_id, position) WHERE transformation_id IS NOT NULL;

CREATE TABLE epcis_term (
    kind text NOT NULL,
    value text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (value, kind, position)
);

CREATE TABLE epcis_good (
    good_id text PRIMARY KEY,
    made_at timestamptz,
    seen_at timestamptz NOT NULL,
    amount numeric(21, 6),
    unit text,
    in_transit text,
    ended_at timestamptz
);
CREATE TABLE epcis_held (child text NOT NULL, parent text NOT NULL, PRIMARY KEY (child, parent));
CREATE INDEX ON epcis_held (parent);
CREATE TABLE epcis_made_of (output text NOT NULL, input text NOT NULL, PRIMARY KEY (output, input));
CREATE TABLE epcis_bill (bill text NOT NULL, party text NOT NULL, PRIMARY KEY (bill, party));

CREATE TABLE epcis_finding (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position bigint NOT NULL,
    code text NOT NULL,
    severity text NOT NULL,
    event_id text NOT NULL,
    event_key text NOT NULL,
    subject text NOT NULL,
    subject_key text NOT NULL,
    explanation text NOT NULL,
    record_time timestamptz NOT NULL
);
CREATE INDEX ON epcis_finding (code, number);
CREATE INDEX ON epcis_finding (severity, number);
CREATE INDEX ON epcis_finding (subject_key, number);
CREATE INDEX ON epcis_finding (event_key, number);

CREATE TABLE epcis_job (
    job_id text PRIMARY KEY,
    owner text NOT NULL,
    state text NOT NULL,
    create_time timestamptz NOT NULL,
    update_time timestamptz NOT NULL,
    captured bigint NOT NULL,
    duplicates bigint NOT NULL,
    refused bigint NOT NULL,
    findings bigint NOT NULL,
    failure text NOT NULL,
    digest bytea NOT NULL
);
CREATE TABLE epcis_job_error (
    job_id text NOT NULL,
    index bigint NOT NULL,
    reason text NOT NULL,
    message text NOT NULL,
    PRIMARY KEY (job_id, index)
);
"""
EPCIS_V1_DROP: Final = """
DROP TABLE epcis_event, epcis_term, epcis_good, epcis_held, epcis_made_of, epcis_bill, epcis_finding,
    epcis_job, epcis_job_error
"""
EPCIS_V2: Final = """
ALTER TABLE epcis_job
    ADD COLUMN events_read bigint NOT NULL DEFAULT 0,
    ADD COLUMN parts integer NOT NULL DEFAULT 0,
    ADD COLUMN size bigint NOT NULL DEFAULT 0;

CREATE TABLE epcis_upload (
    job_id text PRIMARY KEY REFERENCES epcis_job,
    owner text NOT NULL,
    correlation_id text NOT NULL,
    traceparent text,
    complete boolean NOT NULL DEFAULT false,
    touched_at timestamptz NOT NULL,
    lease_until timestamptz NOT NULL,
    epoch bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE epcis_upload IS 'documents that were sent in parts, until they have been captured';
CREATE INDEX ON epcis_upload (owner);
CREATE TABLE epcis_upload_part (
    job_id text NOT NULL REFERENCES epcis_upload ON DELETE CASCADE,
    index integer NOT NULL,
    chunk bytea NOT NULL,
    PRIMARY KEY (job_id, index)
);
"""
EPCIS_V2_DROP: Final = """
DROP TABLE epcis_upload_part, epcis_upload;
ALTER TABLE epcis_job DROP COLUMN events_read, DROP COLUMN parts, DROP COLUMN size;
"""


def key_of(text: str) -> str:
    """A text as indexes have it: itself, or its digest when it is longer than an index can hold."""
    raw = text.encode()
    return text if len(raw) <= _LONGEST_KEY else f"sha256:{hashlib.sha256(raw).hexdigest()}"


def stream_of_event(event_id: str) -> str:
    """The stream of a visibility event and its error declaration."""
    return STREAM_PREFIX + key_of(event_id)
