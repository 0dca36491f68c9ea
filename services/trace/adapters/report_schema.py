"""What partners reported of goods under way, and how warm they were.

Apart from what crops itself says: rows are only added, and who may speak for which goods is asked when they
are read.
"""

from services.trace.adapters.unit_schema import may_tell

REPORTS_V1 = """
CREATE TABLE partner_movement (
    lot_id text NOT NULL,
    step text NOT NULL,
    at timestamptz NOT NULL,
    event_id text NOT NULL,
    reported_by text NOT NULL,
    from_id text NOT NULL,
    to_id text NOT NULL,
    amount numeric(21, 6),
    unit text,
    documents text[] NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (lot_id, step, at, event_id)
);
COMMENT ON COLUMN partner_movement.lot_id IS 'of other goods than lots of ours, and of units, the URI';

CREATE TABLE partner_measured (
    lot_id text NOT NULL,
    event_id text NOT NULL,
    reported_by text NOT NULL,
    PRIMARY KEY (lot_id, event_id)
);
COMMENT ON TABLE partner_measured IS 'which goods the readings of an event are of';
CREATE TABLE partner_reading (
    event_id text NOT NULL,
    number integer NOT NULL,
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL,
    celsius numeric NOT NULL,
    device_id text NOT NULL,
    PRIMARY KEY (event_id, number)
);

CREATE TABLE partner_withdrawal (
    event_id text NOT NULL,
    reported_by text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (event_id, reported_by)
);
COMMENT ON TABLE partner_withdrawal IS 'events that were declared wrong, and by whom';
"""

REPORTS_V1_DROP = """
DROP TABLE partner_withdrawal, partner_reading, partner_measured, partner_movement;
"""


def stands(report: str, position: str) -> str:
    """Condition: who reported it has not declared it wrong, as of a position.

    Args:
        report: name of a row with event_id and reported_by.
    """
    return f"""NOT EXISTS (
        SELECT FROM partner_withdrawal AS withdrawn
        WHERE withdrawn.event_id = {report}.event_id AND withdrawn.reported_by = {report}.reported_by
          AND withdrawn.position <= {position} OFFSET 0
    )"""


def counts(report: str, lot: str, position: str) -> str:
    """Condition: a report was known at a position, stands, and is of someone who may tell of the lot."""
    return f"""{report}.position <= {position} AND {stands(report, position)}
      AND {may_tell(lot, f"{report}.reported_by")}"""


def under_way(lot: str, good: str, position: str) -> str:
    """Statement: the shipments of goods that partners reported and that have not ended, as of a position.

    They end when partners say so, or when our own services know the goods to be at somebody's.

    Args:
        lot: whose way it is; it decides who may tell of it.
        good: the lot, or the logistic unit that it is on.
    """
    return f"""
    SELECT sent.* FROM partner_movement AS sent
    WHERE sent.lot_id = {good} AND sent.step = 'shipping' AND {counts("sent", lot, position)}
      AND NOT EXISTS (
        SELECT FROM partner_movement AS ending
        WHERE ending.lot_id = {good} AND ending.step IN ('receiving', 'void_shipping')
          AND ending.at >= sent.at AND {counts("ending", lot, position)}
          AND (sent.documents = '{{}}' OR ending.documents = '{{}}' OR sent.documents && ending.documents)
        OFFSET 0
      )
      AND NOT EXISTS (
        SELECT FROM journal AS here
        WHERE here.lot_id = {lot} AND here.kind IN ('arrived', 'custody', 'received')
          AND here.at >= sent.at AND here.position <= {position} OFFSET 0
      )
    """
