"""The statements that say what a recall has to reach and what of that is done.

Arguments: $1 the lots of the recall, $2 the position up to which menus count, $3 the recall (empty in a
drill), $4 whether the graph counts, too: what it knows is expected even if nobody has spoken of it yet. It
does not count when the recall was ended for its root; then there is only what was heard.

A thing that another recall has reached, which holds or held when this one began, is done: no event comes
twice for it.
"""

from services.trace.adapters import scope_sql as sql

_HELD = sql.HELD.replace("$2", sql.NOW)
_SERVED = sql.SERVED.replace("$2", sql.NOW)
# Of menus only what was there by the recall's begin and is still so: what is put on later was decided by the
# venue, knowing of the recall.
_ITEMS_NOW = (
    sql.ITEMS.replace("affected", "affected_now").replace("item_at", "item_now").replace("$2", sql.NOW)
)


_ENDED = (
    "CROSS JOIN LATERAL (SELECT released_at FROM recall WHERE recall_id = told.recall_id OFFSET 0) AS other"
)
# A recall may have ended for a lot and go on for others.
_ENDED_FOR_LOT = """LEFT JOIN LATERAL (
        SELECT released_at FROM recall_lot
        WHERE recall_lot.recall_id = told.recall_id AND recall_lot.lot_id = told.lot_id OFFSET 0
    ) AS other ON true"""


def _reached(table: str, column: str, entry: str, extra: str = "", *, of_lot: bool = False) -> str:
    """Whether this recall, and whether any that counts, has reached an entry."""
    return f"""
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(told.recall_id = $3), false) AS own,
           coalesce(bool_or(told.recall_id = $3 OR other.released_at IS NULL
                            OR other.released_at > (SELECT begun_at FROM recall WHERE recall_id = $3)), false)
           AS reached
    FROM (SELECT * FROM {table} WHERE {column} = {entry}{extra} OFFSET 0) AS told
    {_ENDED_FOR_LOT if of_lot else _ENDED}
) AS told"""


_LOTS = f"""
lot_entry AS MATERIALIZED (
    SELECT scope.lot_id, told.own, told.reached
    FROM unnest($1::text[]) AS scope (lot_id) {_reached("recall_lot", "lot_id", "scope.lot_id", of_lot=True)}
)"""
_STOCK = f"""
stock_entry AS MATERIALIZED (
    SELECT expected.stock_item_id, expected.venue_id, told.own, told.reached
    FROM (
        SELECT stock_item_id, venue_id FROM held WHERE $4
        UNION SELECT stock_item_id, venue_id FROM recall_stock WHERE recall_id = $3
    ) AS expected {_reached("recall_stock", "stock_item_id", "expected.stock_item_id", of_lot=True)}
)"""
_MENU = f"""
menu_entry AS (
    SELECT expected.menu_item_id, expected.venue_id, told.reached
    FROM (
        SELECT * FROM (SELECT menu_item_id, venue_id FROM item_at
                       INTERSECT SELECT menu_item_id, venue_id FROM item_now) AS item WHERE $4
        UNION SELECT menu_item_id, venue_id FROM recall_menu_item WHERE recall_id = $3
    ) AS expected {_reached("recall_menu_item", "menu_item_id", "expected.menu_item_id")}
)"""
# An order that was only affected, and not dealt with yet, is not reached.
_ORDERS = f"""
order_entry AS MATERIALIZED (
    SELECT expected.order_id, told.own, told.reached,
           coalesce(heard.venue_id, known.venue_id, '') AS venue_id,
           coalesce(nullif(heard.guest_id, ''), known.guest_id, '') AS guest_id,
           coalesce(heard.dealt_with, false) AS dealt_with,
           coalesce(heard.unaffected, false) AS unaffected,
           coalesce(heard.refunded_minor, 0) AS refunded_minor,
           coalesce(heard.consumed, known.consumed, false) AS consumed
    FROM (
        SELECT order_id FROM served WHERE $4
        UNION SELECT order_id FROM recall_order WHERE recall_id = $3
    ) AS expected
    LEFT JOIN LATERAL (
        SELECT * FROM recall_order WHERE recall_id = $3 AND order_id = expected.order_id OFFSET 0
    ) AS heard ON true
    LEFT JOIN LATERAL (
        SELECT * FROM traced_order WHERE order_id = expected.order_id OFFSET 0
    ) AS known ON true
    {_reached("recall_order", "order_id", "expected.order_id", " AND dealt_with")}
)"""
# Who is told: whoever belongs to what this recall has reached or is still to reach. The guest of an order
# that was served after its end has nothing to hear.
_TOLD = """
notice AS MATERIALIZED (SELECT user_id, sent FROM recall_notice WHERE recall_id = $3),
guest AS (
    SELECT DISTINCT guest_id FROM order_entry WHERE guest_id <> '' AND NOT unaffected AND (own OR NOT reached)
),
at_venue AS (
    SELECT venue.venue_id, coalesce(owner.owner_id, '') AS owner_id
    FROM (SELECT DISTINCT venue_id FROM stock_entry WHERE own OR NOT reached) AS venue
    LEFT JOIN LATERAL (
        SELECT owner_id FROM venue AS v WHERE v.venue_id = venue.venue_id OFFSET 0
    ) AS owner ON true
),
holder AS (
    SELECT DISTINCT person.user_id
    FROM lot_entry
    LEFT JOIN LATERAL (
        SELECT * FROM recall_lot WHERE recall_id = $3 AND lot_id = lot_entry.lot_id OFFSET 0
    ) AS heard ON true
    LEFT JOIN LATERAL (
        SELECT * FROM traced_lot WHERE traced_lot.lot_id = lot_entry.lot_id OFFSET 0
    ) AS known ON true
    CROSS JOIN LATERAL (VALUES (coalesce(nullif(heard.owner_id, ''), known.owner_id)),
                               (coalesce(nullif(heard.grower_id, ''), known.grower_id))) AS person (user_id)
    WHERE (lot_entry.own OR NOT lot_entry.reached) AND person.user_id <> ''
)"""
_NOTICE_STATE = "CASE notice.sent WHEN true THEN 2 WHEN false THEN 3 ELSE 1 END"
_REACHED = "CASE WHEN reached THEN 2 ELSE 1 END"
_ENTRIES = f"""
WITH {_HELD}, {_SERVED}, {sql.ITEMS}, {_ITEMS_NOW}, {_LOTS}, {_STOCK}, {_MENU}, {_ORDERS}, {_TOLD},
entry (kind, entry_id, venue_id, state) AS (
    SELECT 1, lot_id, '', {_REACHED} FROM lot_entry
    UNION ALL SELECT 2, stock_item_id, venue_id, {_REACHED} FROM stock_entry
    UNION ALL SELECT 3, menu_item_id, venue_id, {_REACHED} FROM menu_entry
    UNION ALL SELECT 4, order_id, venue_id, {_REACHED} FROM order_entry
    UNION ALL SELECT 5, order_id, venue_id, CASE WHEN dealt_with THEN 2 ELSE 1 END FROM order_entry
        WHERE (own OR NOT reached) AND CASE WHEN dealt_with THEN refunded_minor > 0 ELSE consumed END
    UNION ALL SELECT 6, guest_id, '', {_NOTICE_STATE}
        FROM guest LEFT JOIN notice ON notice.user_id = guest.guest_id
    UNION ALL SELECT 7, venue_id, venue_id, {_NOTICE_STATE}
        FROM at_venue LEFT JOIN notice ON notice.user_id = at_venue.owner_id
    UNION ALL SELECT 8, holder.user_id, '', {_NOTICE_STATE}
        FROM holder LEFT JOIN notice ON notice.user_id = holder.user_id
)"""

COUNTS = f"""{_ENTRIES}
SELECT kind, count(*) AS expected, count(*) FILTER (WHERE state = 2) AS done,
       count(*) FILTER (WHERE state = 3) AS failed
FROM entry GROUP BY kind
"""
# $5 kinds, $6 only what is outstanding, $7 and $8 kind and id to begin behind, $9 how many.
ENTRY_PAGE = f"""{_ENTRIES}
SELECT kind, entry_id, venue_id, state FROM entry
WHERE kind = ANY($5::integer[]) AND (state = 1 OR NOT $6) AND (kind, entry_id) > ($7::integer, $8::text)
ORDER BY kind, entry_id LIMIT $9
"""
_CALL = """
SELECT recall.*, root.released_at AS root_released_at FROM recall LEFT JOIN LATERAL (
    SELECT released_at FROM recall_lot
    WHERE recall_lot.recall_id = recall.recall_id AND recall_lot.lot_id = recall.root_lot_id OFFSET 0
) AS root ON true
"""
CALL = f"{_CALL} WHERE recall_id = $1"
HEARD = "SELECT heard FROM recall WHERE recall_id = $1"
_GOES_ON = "begun_at IS NOT NULL AND released_at IS NULL"
# Of those that were complete one may still have become incomplete in silence.
TO_LOOK_AT = f"""
(SELECT recall_id FROM recall WHERE {_GOES_ON} AND settled_at IS NULL
 ORDER BY begun_at DESC, recall_id DESC LIMIT $1)
UNION ALL
(SELECT recall_id FROM recall WHERE {_GOES_ON} AND settled_at IS NOT NULL ORDER BY settled_at LIMIT 1)
"""
# Not if anything was heard since it was looked at.
SETTLE = """
UPDATE recall SET settled_at = $3
WHERE recall_id = $1 AND heard = $2 AND settled_at IS DISTINCT FROM $3::timestamptz
"""
CALL_PAGE = f"""{_CALL}
WHERE begun_at IS NOT NULL AND ($1::text IS NULL OR root_lot_id = $1)
  AND (recall.released_at IS NULL OR NOT $2)
  AND ($3::timestamptz IS NULL OR (begun_at, recall_id) < ($3::timestamptz, $4::text))
ORDER BY begun_at DESC, recall_id DESC LIMIT $5
"""
HEARD_LOTS = "SELECT lot_id FROM recall_lot WHERE recall_id = $1"
REFUNDED = """
SELECT currency, sum(refunded_minor)::bigint AS minor FROM recall_order
WHERE recall_id = $1 AND refunded_minor > 0 GROUP BY currency ORDER BY currency
"""
