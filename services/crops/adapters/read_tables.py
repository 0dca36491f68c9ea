"""The tables of the read models."""

from chassis.projection import ReadTable

LOT = ReadTable(
    "lot_view",
    """
    CREATE TABLE {table} (
        lot_id text PRIMARY KEY,
        version integer NOT NULL,
        lot_code text NOT NULL,
        product_code text NOT NULL,
        description text NOT NULL,
        variety text NOT NULL,
        amount numeric(21, 6) NOT NULL,
        committed numeric(21, 6) NOT NULL CHECK (committed BETWEEN 0 AND amount),
        unit text NOT NULL,
        grower_id text NOT NULL,
        owner_id text NOT NULL,
        recalled boolean NOT NULL DEFAULT false,
        hold_reason text NOT NULL DEFAULT '',
        held boolean NOT NULL DEFAULT false,
        destroyed boolean NOT NULL DEFAULT false,
        state text NOT NULL GENERATED ALWAYS AS (
            CASE WHEN recalled THEN 'RECALLED'
                 WHEN amount = 0 AND destroyed THEN 'DESTROYED'
                 WHEN amount = 0 THEN 'EMPTY'
                 WHEN held THEN 'HELD'
                 ELSE 'ACTIVE' END
        ) STORED,
        origin jsonb NOT NULL,
        harvest_time timestamptz NOT NULL,
        expire_time timestamptz NOT NULL,
        parent_lot_id text,
        parent_lot_ids text[] NOT NULL,
        custodian_id text NOT NULL,
        offer jsonb,
        offer_expire_time timestamptz,
        shipment jsonb,
        unit_id text NOT NULL DEFAULT '',
        transfer_count integer NOT NULL,
        last_transfer_time timestamptz,
        recall_reason text NOT NULL,
        create_time timestamptz NOT NULL,
        update_time timestamptz NOT NULL
    );
    CREATE INDEX ON {table} (owner_id, lot_id);
    CREATE INDEX ON {table} (grower_id, lot_id);
    CREATE INDEX ON {table} (product_code, lot_id);
    CREATE INDEX ON {table} (lot_code, lot_id);
    CREATE INDEX ON {table} (state, lot_id);
    CREATE INDEX ON {table} (unit_id, lot_id) WHERE unit_id <> '';
    CREATE INDEX ON {table} (offer_expire_time) WHERE offer_expire_time IS NOT NULL;
    """,
)
OWNERSHIP = ReadTable(
    "lot_ownership",
    """
    CREATE TABLE {table} (
        lot_id text NOT NULL,
        number integer NOT NULL,
        owner_id text NOT NULL,
        from_time timestamptz NOT NULL,
        until_time timestamptz,
        PRIMARY KEY (lot_id, number)
    );
    """,
)
CUSTODY = ReadTable(
    "lot_custody",
    """
    CREATE TABLE {table} (
        lot_id text NOT NULL,
        version integer NOT NULL,
        custodian_id text NOT NULL,
        from_time timestamptz NOT NULL,
        PRIMARY KEY (lot_id, version)
    );
    """,
)
HISTORY = ReadTable(
    "lot_history",
    """
    CREATE TABLE {table} (
        lot_id text NOT NULL,
        version integer NOT NULL,
        event_id text NOT NULL,
        type text NOT NULL,
        recorded_time timestamptz NOT NULL,
        actor text NOT NULL,
        summary text NOT NULL,
        amount numeric(21, 6),
        unit text,
        owner_id text NOT NULL,
        reference_document text NOT NULL,
        corrected_by text NOT NULL DEFAULT '',
        PRIMARY KEY (lot_id, version)
    );
    """,
)
