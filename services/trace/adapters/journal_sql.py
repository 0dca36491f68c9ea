"""The statements that read the journal; each by index, so that its cost follows the answer."""

from services.trace.adapters.correction_schema import entry_wrong, wrong
from services.trace.adapters.movement_schema import RECORDED
from services.trace.adapters.report_schema import counts, stands
from services.trace.adapters.scope_sql import NOW
from services.trace.adapters.unit_schema import may_tell

KNOWN = "SELECT EXISTS (SELECT FROM traced_lot WHERE lot_id = $1)"
LOTS_OF = """
SELECT DISTINCT lot_id FROM journal
WHERE party_id = $1 AND kind IN ('minted', 'owned', 'received') AND lot_id > $2
ORDER BY lot_id LIMIT $3
"""
_COLUMNS = """
lot_id, event_id, kind, number, at, recorded_at, utc_offset, amount, unit, remaining_amount, remaining_unit,
party_id, other_id, reference, read_point, biz_location, documents, detail
"""
# Goods of one lot may be served to ten thousand guests: that is one sum for each venue and unit.
# Of the lot it is one for each time between changes of its owner and corrections, which are worked out by it.
HISTORY = f"""
SELECT entry.* FROM unnest($1::text[]) AS asked (lot_id) CROSS JOIN LATERAL (
    SELECT {_COLUMNS}, {entry_wrong("journal", NOW)} AS declared_wrong FROM journal
    WHERE journal.lot_id = asked.lot_id AND kind IN (
        'minted', 'split-off', 'split', 'used', 'owned', 'custody', 'committed', 'released', 'delivered',
        'shipped', 'voided', 'arrived', 'destroyed', 'sold', 'corrected', 'received', 'made'
    )
    UNION ALL
    SELECT asked.lot_id, '', 'consumed', 0::smallint, min(at), max(recorded_at), '',
           least(sum(amount), 999999999999999), unit, NULL, NULL, party_id, '', '', '', '', '[]', '{{}}',
           false
    FROM journal WHERE journal.lot_id = asked.lot_id AND kind = 'consumed' GROUP BY party_id, unit
    UNION ALL
    SELECT asked.lot_id, '', 'served', 0::smallint, min(at), max(recorded_at), '',
           least(sum(amount), 999999999999999), unit,
           (array_agg(remaining_amount ORDER BY recorded_at DESC, remaining_amount))[1], remaining_unit,
           '', '', '', '', '', '[]', '{{}}', false
    FROM (
        SELECT journal.*, count(*) FILTER (WHERE kind <> 'served') OVER (
            ORDER BY recorded_at, remaining_amount DESC NULLS FIRST
        ) AS period
        FROM journal WHERE journal.lot_id = asked.lot_id AND kind IN ('served', 'owned', 'corrected')
    ) AS part WHERE kind = 'served' GROUP BY period, unit, remaining_unit
    OFFSET 0
) AS entry
ORDER BY entry.lot_id, entry.recorded_at, entry.remaining_amount DESC NULLS FIRST, entry.event_id,
         entry.number
"""
TRANSFORMATIONS = f"""
SELECT entry.* FROM unnest($1::text[]) AS asked (name) CROSS JOIN LATERAL (
    SELECT {_COLUMNS}, {entry_wrong("journal", NOW)} AS declared_wrong FROM journal
    WHERE journal.reference = asked.name AND kind IN ('used', 'made') OFFSET 0
) AS entry
ORDER BY entry.reference, entry.kind, entry.number, entry.lot_id
"""
EDGES = "SELECT child_id, parent_id, at FROM lot_edge WHERE child_id = ANY($1)"
MINTED_AT = """
SELECT parent.lot_id, min(at) AS at FROM (
    SELECT parent_id AS lot_id FROM lot_edge WHERE child_id = $1
) AS parent CROSS JOIN LATERAL (
    SELECT at FROM journal WHERE journal.lot_id = parent.lot_id AND kind = 'minted' OFFSET 0
) AS minted
GROUP BY parent.lot_id
"""
EXPIRES = "SELECT expire_time FROM traced_lot WHERE lot_id = $1"
STAYS = """
SELECT lot_id, unit_id, at, packed FROM counted_unit_change
WHERE lot_id = ANY($1) ORDER BY at, recorded_at, packed
"""
BESIDE = """
SELECT lot_id, unit_id, at, packed FROM counted_unit_change
WHERE unit_id = ANY($1) AND NOT lot_id = ANY($2) ORDER BY at, recorded_at, packed
"""
# $1 to $4: what was measured, from when until when it concerns what is asked for, and of units the lot on it.
READINGS = f"""
SELECT DISTINCT reading.* FROM
unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[])
    AS seen (lot_id, from_at, until_at, carried)
CROSS JOIN LATERAL (
    (SELECT lot_id, event_id, number::integer, start_at, least(end_at, seen.until_at) AS end_at, celsius,
        device_id, '' AS reported_by
    FROM reading
    WHERE reading.lot_id = seen.lot_id AND start_at >= coalesce(seen.from_at, '-infinity')
      AND start_at < coalesce(seen.until_at, 'infinity')
      -- All at once for the lot, and not for each of many readings.
      AND event_id <> ALL (ARRAY(
        SELECT reference FROM journal AS correction
        WHERE correction.lot_id = seen.lot_id AND correction.kind = 'corrected'
      )) OFFSET 0)
    UNION ALL
    (SELECT measured.lot_id, told.event_id, told.number, told.start_at, least(told.end_at, seen.until_at),
        told.celsius, told.device_id, measured.reported_by
    FROM (
        SELECT * FROM partner_measured AS measured
        WHERE measured.lot_id = seen.lot_id AND {stands("measured", NOW)}
          AND {may_tell("coalesce(nullif(seen.carried, ''), seen.lot_id)", "measured.reported_by")} OFFSET 0
    ) AS measured CROSS JOIN LATERAL (
        SELECT * FROM partner_reading
        WHERE event_id = measured.event_id AND start_at >= coalesce(seen.from_at, '-infinity')
          AND start_at < coalesce(seen.until_at, 'infinity') OFFSET 0
    ) AS told)
) AS reading
ORDER BY start_at, lot_id, event_id, number
"""
# $1 a lot: arrivals by partners' word before which nobody said that it was shipped.
UNANNOUNCED = f"""
SELECT event_id, to_id, reported_by, at FROM partner_movement AS arrival
WHERE lot_id = $1 AND step = 'receiving' AND {counts("arrival", "$1", NOW)}
  AND NOT EXISTS (
    SELECT FROM partner_movement AS sent
    WHERE sent.lot_id = $1 AND sent.step = 'shipping' AND sent.at <= arrival.at
      AND {counts("sent", "$1", NOW)} OFFSET 0
  )
  AND NOT EXISTS (
    SELECT FROM journal AS sent
    WHERE sent.lot_id = $1 AND sent.kind = 'shipped' AND sent.at <= arrival.at OFFSET 0
  )
ORDER BY at, event_id
"""
# $1 the position, $2 and $3 the range, $4 how many, $5 to $9 the place to begin behind, $10 lots.
_RECORDS = f"""
SELECT page.*, lot.*, {entry_wrong("page", "$1")} AS declared_wrong,
    coalesce((
        SELECT detail FROM journal AS minted WHERE minted.lot_id = page.lot_id AND kind = 'minted' LIMIT 1
    ), '{{{{}}}}') AS origin,
    (
        SELECT coalesce(nullif(biz_location, ''), 'party ' || other_id) FROM journal AS shipped
        WHERE shipped.lot_id = page.lot_id AND kind = 'shipped' AND shipped.position <= $1
          AND NOT EXISTS (
            SELECT FROM journal AS voided
            WHERE voided.lot_id = shipped.lot_id AND voided.kind = 'voided'
              AND voided.reference = shipped.reference AND voided.position <= $1
              AND NOT {wrong("voided.event_id", "$1")}
          )
          AND NOT {wrong("shipped.event_id", "$1")}
        ORDER BY at LIMIT 1
    ) AS next_place,
    page.kind = 'shipped' AND EXISTS (
        SELECT FROM journal AS voided
        WHERE voided.lot_id = page.lot_id AND kind = 'voided' AND voided.reference = page.reference
          AND voided.position <= $1 AND NOT {wrong("voided.event_id", "$1")}
    ) AS voided,
    coalesce((SELECT name FROM venue WHERE venue_id = page.party_id), '') AS party_name
FROM (
    SELECT {_COLUMNS} FROM journal
    WHERE {RECORDED} AND position <= $1
      AND at >= coalesce($2::timestamptz, '-infinity') AND at < coalesce($3::timestamptz, 'infinity')
      AND ($5::timestamptz IS NULL OR (at, lot_id, event_id, kind, number) > ($5, $6, $7, $8, $9::smallint))
      {{lots}}
    ORDER BY at, lot_id, event_id, kind, number LIMIT $4
) AS page LEFT JOIN LATERAL (
    SELECT lot_code, product_code, harvest_time FROM traced_lot WHERE lot_id = page.lot_id OFFSET 0
) AS lot ON true
ORDER BY page.at, page.lot_id, page.event_id, page.kind, page.number
"""
RECORDS = _RECORDS.format(lots="")
RECORDS_OF_LOTS = _RECORDS.format(lots="AND lot_id = ANY($10)")
