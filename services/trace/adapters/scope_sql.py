"""The statements that find what a lot reached, as of a position.

Arguments of all but REACHED: $1 the lots of the scope, $2 the position; of most pages also $3 the id to begin
behind, $4 how many. LATERAL with OFFSET 0 keeps the planner from joining by a scan of the whole table,
which it would prefer because it cannot foresee how little there is to find.
"""

from services.trace.adapters.report_schema import under_way
from services.trace.domain.orders import OrderState

NOW = str(2**63 - 1)
# Begins the name of a node that is no goods: a partner's transformation, between its inputs and its outputs.
TRANSFORMATION = "transformation:"


def known(column: str, position: str = "$2") -> str:
    """Condition: what this column dates was known at a position; a null was known ever since."""
    return f"coalesce({column}, 0) <= {position}"


def served(position: str = "$2") -> str:
    """Condition: goods of the allocation were in the order at a position.

    Reserved goods count until they are given back or the order has failed; consumed ones for ever.
    """
    return f"""(
    allocation.consumed AND {known("allocation.consumed_position", position)}
    OR allocation.reserved AND {known("allocation.reserved_position", position)}
       AND NOT (traced_order.released AND {known("traced_order.released_position", position)})
       AND NOT (traced_order.consumed AND {known("traced_order.consumed_position", position)})
       AND NOT (traced_order.state = {OrderState.FAILED.value}
                AND {known("traced_order.failed_position", position)})
)"""


ORDER_COLUMNS = """
traced_order.order_id, traced_order.venue_id, traced_order.guest_id, traced_order.state,
traced_order.placed_at, array_agg(DISTINCT allocation.lot_id) AS lot_ids,
array_agg(DISTINCT allocation.menu_item_id) AS menu_item_ids
"""

# $1 a lot, $2 the position: all that was made of it, and what of that is known by partners' word alone. UNION
# visits each lot once for either way: circles end and diamonds do not multiply. A colon is in the name of a
# partner's transformation and of goods that are no lots of ours; what lies behind one is by partners.
REACHED = f"""
WITH RECURSIVE reached AS (
    SELECT $1::text AS lot_id, strpos($1, ':') = 0 AS own
    UNION
    SELECT edge.child_id, reached.own AND strpos(edge.child_id, ':') = 0 FROM reached CROSS JOIN LATERAL (
        SELECT child_id FROM lot_edge
        WHERE parent_id = reached.lot_id AND {known("position")} OFFSET 0
    ) AS edge
)
SELECT array_agg(lot_id) AS lot_ids,
       coalesce(array_agg(lot_id) FILTER (WHERE NOT own), '{{}}') AS by_partners
FROM (
    SELECT lot_id, bool_or(own) AS own FROM reached
    WHERE NOT starts_with(lot_id, '{TRANSFORMATION}') GROUP BY lot_id
) AS lot
"""

_HELD = f"""
held AS MATERIALIZED (
    SELECT item.* FROM unnest($1::text[]) AS scope (lot_id) CROSS JOIN LATERAL (
        SELECT * FROM stock WHERE stock.lot_id = scope.lot_id AND {known("stock.position")} OFFSET 0
    ) AS item
)"""
_SERVED = f"""
served AS MATERIALIZED (
    SELECT traced_order.order_id, traced_order.venue_id, traced_order.placed_at,
           CASE WHEN {known("traced_order.guest_position")} THEN traced_order.guest_id ELSE '' END AS guest_id
    FROM unnest($1::text[]) AS scope (lot_id) CROSS JOIN LATERAL (
        SELECT * FROM allocation WHERE allocation.lot_id = scope.lot_id OFFSET 0
    ) AS allocation CROSS JOIN LATERAL (
        SELECT * FROM traced_order WHERE traced_order.order_id = allocation.order_id OFFSET 0
    ) AS traced_order
    WHERE {served()}
)"""
_AT = """
venue_at AS (SELECT venue_id FROM held UNION SELECT venue_id FROM served),
guest_at AS (SELECT DISTINCT guest_id FROM served WHERE guest_id <> '')
"""
# What the menus of the venues with affected stock had at the position.
_ITEMS = f"""
affected AS (
    SELECT held.venue_id, array_agg(DISTINCT held.lot_id) AS lot_ids,
           array_agg(DISTINCT lot.product_code) FILTER (WHERE lot.product_known) AS product_codes
    FROM held CROSS JOIN LATERAL (
        SELECT product_code, {known("product_position")} AS product_known
        FROM traced_lot WHERE lot_id = held.lot_id OFFSET 0
    ) AS lot
    GROUP BY held.venue_id
), item_at AS (
    SELECT item.menu_item_id, item.venue_id, item.name
    FROM affected CROSS JOIN LATERAL (
        SELECT menu_item_id, venue_id, name, product_codes, lot_ids
        FROM menu_item WHERE venue_id = affected.venue_id AND {known("position")}
        UNION ALL
        SELECT menu_item_id, venue_id, name, product_codes, lot_ids
        FROM menu_item_past
        WHERE venue_id = affected.venue_id AND until_position > $2 AND {known("position")}
        OFFSET 0
    ) AS item
    WHERE item.product_codes && affected.product_codes OR item.lot_ids && affected.lot_ids
)"""

# $3 is how many guests and venues to give besides the counts, without another pass over the orders.
COUNTS = f"""
WITH {_HELD}, {_SERVED}, {_AT}, {_ITEMS}
SELECT
    (SELECT count(*) FROM held) AS stock,
    (SELECT count(*) FROM held WHERE quarantined) AS quarantined_stock,
    (SELECT count(*) FROM venue_at) AS venues,
    (SELECT count(*) FROM item_at) AS menu_items,
    (SELECT count(*) FROM (SELECT DISTINCT order_id FROM served) AS distinct_order) AS orders,
    (SELECT count(*) FROM guest_at) AS guests,
    (SELECT min(placed_at) FROM served) AS first_order,
    (SELECT max(placed_at) FROM served) AS last_order,
    ARRAY(SELECT venue_id FROM venue_at ORDER BY venue_id LIMIT $3) AS venue_ids,
    ARRAY(SELECT guest_id FROM guest_at ORDER BY guest_id LIMIT $3) AS guest_ids
"""
# $2 is how many custodians to give.
LOT_COUNTS = """
WITH lot AS MATERIALIZED (
    SELECT lot.* FROM unnest($1::text[]) AS scope (lot_id) CROSS JOIN LATERAL (
        SELECT recalled, held, destroyed_at, remaining_amount, custodian_id
        FROM traced_lot WHERE lot_id = scope.lot_id OFFSET 0
    ) AS lot
), custodian AS MATERIALIZED (SELECT DISTINCT custodian_id FROM lot WHERE custodian_id <> '')
SELECT
    (SELECT count(*) FROM lot WHERE recalled) AS recalled,
    (SELECT count(*) FROM lot WHERE held) AS held,
    (SELECT count(*) FROM lot
     WHERE destroyed_at IS NOT NULL AND coalesce(remaining_amount, 0) = 0) AS destroyed,
    (SELECT count(*) FROM custodian) AS custodians,
    ARRAY(SELECT custodian_id FROM custodian ORDER BY custodian_id LIMIT $2) AS custodian_ids
"""

# Beside the columns of `lot`: the logistic unit that it is in now, and whether it is on its way.
LOT_STATE = f"""
    coalesce((
        SELECT CASE WHEN packed THEN unit_id ELSE '' END FROM counted_unit_change AS unit_change
        WHERE unit_change.lot_id = lot.lot_id ORDER BY at DESC, recorded_at DESC, packed DESC LIMIT 1
    ), '') AS unit_id,
    EXISTS (
        SELECT FROM shipment
        WHERE shipment.lot_id = lot.lot_id AND shipped_at IS NOT NULL AND ended_at IS NULL
    ) AS in_transit,
    EXISTS ({under_way("lot.lot_id", "lot.lot_id", NOW)} OFFSET 0) AS in_transit_by_partners
"""
# Every page has the same arguments; the lots are those of the position already.
LOT_PAGE = f"""
SELECT lot.*, {LOT_STATE} FROM (
    SELECT lot_id FROM unnest($1::text[]) AS scope (lot_id)
    WHERE lot_id > $3 AND $2::bigint IS NOT NULL ORDER BY lot_id LIMIT $4
) AS page CROSS JOIN LATERAL (SELECT * FROM traced_lot WHERE lot_id = page.lot_id OFFSET 0) AS lot
ORDER BY lot.lot_id
"""
STOCK_PAGE = f"WITH {_HELD} SELECT * FROM held WHERE stock_item_id > $3 ORDER BY stock_item_id LIMIT $4"
# A venue of which only stock or an order was heard has no name yet.
_NAMED = """
SELECT page.venue_id, coalesce(venue.name, '') AS name, coalesce(venue.owner_id, '') AS owner_id
FROM page LEFT JOIN LATERAL (SELECT * FROM venue WHERE venue_id = page.venue_id OFFSET 0) AS venue ON true
ORDER BY page.venue_id
"""
VENUES = f"WITH page AS (SELECT unnest($1::text[]) AS venue_id) {_NAMED}"
VENUE_PAGE = f"""
WITH {_HELD}, {_SERVED}, {_AT},
page AS (SELECT venue_id FROM venue_at WHERE venue_id > $3 ORDER BY venue_id LIMIT $4) {_NAMED}
"""
MENU_ITEM_PAGE = f"""
WITH {_HELD}, {_ITEMS} SELECT * FROM item_at WHERE menu_item_id > $3 ORDER BY menu_item_id LIMIT $4
"""
GUEST_PAGE = f"""
WITH {_SERVED}, guest_at AS (SELECT DISTINCT guest_id FROM served WHERE guest_id <> '')
SELECT guest_id FROM guest_at WHERE guest_id > $3 ORDER BY guest_id LIMIT $4
"""
_UNDER_WAY = f"""
    shipped_at IS NOT NULL AND {known("shipped_position")}
    AND NOT (ended_at IS NOT NULL AND {known("ended_position")})
"""
# A lot is on its way by a shipment of its own, or by one of the logistic unit that it is still in; what
# partners said of either comes besides, since nothing tells which of theirs is one of ours.
_MOVING = f"""
on_unit AS MATERIALIZED (
    SELECT scope.lot_id, stay.unit_id FROM unnest($1::text[]) AS scope (lot_id) CROSS JOIN LATERAL (
        SELECT DISTINCT ON (unit_id) unit_id, packed FROM counted_unit_change AS unit_change
        WHERE unit_change.lot_id = scope.lot_id AND {known("position")}
        ORDER BY unit_id, at DESC, recorded_at DESC, packed DESC
    ) AS stay
    WHERE stay.packed
), moving AS MATERIALIZED (
    SELECT own.* FROM unnest($1::text[]) AS scope (lot_id) CROSS JOIN LATERAL (
        SELECT shipment_id, lot_id, from_id, to_id, unit_id, amount, unit, shipped_at, false AS by_partners
        FROM shipment WHERE shipment.lot_id = scope.lot_id AND {_UNDER_WAY} OFFSET 0
    ) AS own
    UNION ALL
    (SELECT DISTINCT ON (carried.shipment_id, stay.lot_id)
        carried.shipment_id, stay.lot_id, carried.from_id, carried.to_id, carried.unit_id,
        NULL::numeric, NULL::text, carried.shipped_at, false
    FROM on_unit AS stay CROSS JOIN LATERAL (
        SELECT * FROM shipment
        WHERE shipment.unit_id = stay.unit_id AND unit_id <> '' AND {_UNDER_WAY} OFFSET 0
    ) AS carried
    WHERE (
        SELECT count(*) FROM shipment AS own
        WHERE own.shipment_id = carried.shipment_id AND own.lot_id = stay.lot_id
    ) = 0
    ORDER BY carried.shipment_id, stay.lot_id, carried.lot_id)
    UNION ALL
    (SELECT DISTINCT ON (told.event_id, named.lot_id)
        told.event_id, named.lot_id, told.from_id, told.to_id, named.unit_id,
        CASE WHEN named.unit_id = '' THEN told.amount END,
        CASE WHEN named.unit_id = '' THEN told.unit END, told.at, true
    FROM (
        SELECT lot_id, lot_id AS good, '' AS unit_id FROM unnest($1::text[]) AS scope (lot_id)
        UNION ALL
        SELECT lot_id, unit_id, unit_id FROM on_unit
    ) AS named CROSS JOIN LATERAL ({under_way("named.lot_id", "named.good", "$2")} OFFSET 0) AS told
    ORDER BY told.event_id, named.lot_id, named.unit_id)
)"""
# Of which only partners told: $1 the lots, $2 the position.
MOVING_BY_PARTNERS = f"""
WITH {_MOVING} SELECT * FROM moving WHERE by_partners ORDER BY shipped_at, shipment_id
"""
MOVING_COUNT = f"WITH {_MOVING} SELECT count(*) FROM moving"
# $3 and $4 are the shipment and the lot to begin behind, $5 how many.
SHIPMENT_PAGE = f"""
WITH {_MOVING}
SELECT * FROM moving WHERE (shipment_id, lot_id) > ($3, $4) ORDER BY shipment_id, lot_id LIMIT $5
"""
# Lot by lot, so that a page costs what it holds: $3 is the lot to go on with, $4 the order in it to begin
# behind, $5 how many. An order of several lots is listed under the first of them.
ORDER_PAGE = f"""
WITH page AS (
    SELECT scope.lot_id, listed.order_id
    FROM (
        SELECT lot_id FROM unnest($1::text[]) AS every (lot_id) WHERE lot_id >= $3 ORDER BY lot_id
    ) AS scope CROSS JOIN LATERAL (
        SELECT DISTINCT allocation.order_id
        FROM allocation JOIN traced_order USING (order_id)
        WHERE allocation.lot_id = scope.lot_id
          AND allocation.order_id > CASE WHEN scope.lot_id = $3 THEN $4 ELSE '' END AND {served()}
          AND NOT EXISTS (
              SELECT FROM allocation AS earlier
              WHERE earlier.order_id = allocation.order_id AND earlier.lot_id < scope.lot_id
                AND earlier.lot_id = ANY($1) AND {served().replace("allocation.", "earlier.")}
          )
        ORDER BY allocation.order_id LIMIT $5
    ) AS listed
    ORDER BY scope.lot_id, listed.order_id LIMIT $5
)
SELECT page.lot_id AS listed_lot_id, traced.* FROM page CROSS JOIN LATERAL (
    SELECT {ORDER_COLUMNS}
    FROM allocation JOIN traced_order USING (order_id)
    WHERE allocation.order_id = page.order_id AND allocation.lot_id = ANY($1) AND {served()}
    GROUP BY traced_order.order_id
) AS traced
ORDER BY page.lot_id, traced.order_id
"""
RECALL_STATE = "SELECT recalled FROM traced_lot WHERE lot_id = $1"
AS_OF = """
SELECT max(at) FROM (SELECT at FROM learned WHERE position <= $1 ORDER BY position DESC LIMIT 100) AS latest
"""
# What a recall has to reach is made of the same parts.
HELD, SERVED, ITEMS = _HELD, _SERVED, _ITEMS
