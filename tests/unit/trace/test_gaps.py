"""Gaps in journals."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.trace.domain.findings import Finding, FindingCode
from services.trace.domain.gaps import Origins, gaps
from services.trace.domain.journal import EntryKind
from services.trace.domain.reports import Way, Ways
from tests.unit.trace.test_balance import Journal, kg

NOW = datetime(2026, 7, 1, tzinfo=UTC)
NOWHERE = Origins(sources={}, own_ancestor=False, expire_time=None)


def found(journal: Journal, descent: Origins = NOWHERE, **said: Any) -> list[Finding]:
    return gaps("l", journal.entries, descent, now=said.pop("now", NOW), **said)


def codes(journal: Journal, descent: Origins = NOWHERE, **said: Any) -> list[FindingCode]:
    return [finding.code for finding in found(journal, descent, **said)]


def test_a_whole_history_has_no_gaps() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.SHIPPED, kg(10), reference="s", other_id="shop")
    journal.add(EntryKind.ARRIVED, kg(10), reference="s", party_id="shop")
    journal.add(EntryKind.OWNED, party_id="shop")
    journal.add(EntryKind.RECEIVED, kg(10), party_id="v", detail={"expire_time": "2026-08-01T00:00:00+00:00"})
    assert found(journal) == []


def test_a_shipment_that_never_arrived_is_found_when_it_is_old_enough() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.SHIPPED, kg(10), reference="s", other_id="shop")
    shipped = journal.entries[-1].at
    assert codes(journal) == [FindingCode.SHIPPED_NOT_RECEIVED]
    assert codes(journal, now=shipped + timedelta(days=3)) == []
    assert codes(journal, now=shipped + timedelta(days=3), unreceived_after=timedelta(days=2)) == [
        FindingCode.SHIPPED_NOT_RECEIVED
    ]
    journal.add(EntryKind.VOIDED, reference="s")
    assert codes(journal) == []


def test_what_arrived_unannounced_or_in_another_quantity_is_found() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.ARRIVED, kg(10), party_id="shop")
    journal.add(EntryKind.ARRIVED, kg(10), party_id="shop", reference="made up")
    assert codes(journal) == [FindingCode.RECEIVED_NOT_SHIPPED] * 2
    journal = Journal().mint(10)
    journal.add(EntryKind.SHIPPED, kg(10), reference="s", other_id="shop")
    journal.add(EntryKind.ARRIVED, kg(8), reference="s", party_id="shop")
    [finding] = found(journal)
    assert (finding.code, finding.difference) == (FindingCode.SHIPMENT_DIFFERS, -2)


def test_an_owner_who_never_got_the_goods_is_found() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.OWNED, party_id="trader", detail={"custodian_id": "farm"})
    journal.add(EntryKind.OWNED, party_id="shop", detail={"custodian_id": "shop"})
    journal.add(EntryKind.OWNED, party_id="other")
    journal.add(EntryKind.CUSTODY, party_id="other")
    assert [(finding.code, finding.party_id) for finding in found(journal)] == [
        (FindingCode.OWNER_WITHOUT_CUSTODY, "trader")
    ]


def test_an_owner_whose_venue_received_the_goods_had_them() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.OWNED, party_id="trader")
    journal.add(EntryKind.OWNED, party_id="shop")
    journal.add(EntryKind.RECEIVED, kg(10), party_id="the shop's venue")
    assert [finding.party_id for finding in found(journal)] == ["trader"]


def test_stock_past_its_date_is_found_while_some_is_left() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.RECEIVED, kg(10), party_id="v", detail={"expire_time": "2026-06-20T00:00:00+00:00"})
    assert codes(journal, now=datetime(2026, 6, 10, tzinfo=UTC)) == []
    journal.add(EntryKind.CONSUMED, kg(4), party_id="v")
    [finding] = found(journal)
    assert (finding.code, finding.difference) == (FindingCode.EXPIRED_IN_STOCK, 6)
    journal.add(EntryKind.CONSUMED, kg(6), party_id="v")
    assert codes(journal) == []


def test_what_cannot_have_been_so_is_found() -> None:
    journal = Journal()
    journal.add(EntryKind.SHIPPED, kg(1), reference="s")
    journal.add(EntryKind.ARRIVED, kg(1), reference="s")
    journal.mint(10)
    late = Origins(sources={"source": NOW}, own_ancestor=True, expire_time=None)
    assert codes(journal, late) == [FindingCode.BEFORE_IT_EXISTED] * 3 + [FindingCode.OWN_ANCESTOR]
    assert codes(Journal()) == [FindingCode.ORIGIN_UNKNOWN]


def test_what_partners_said_is_told_as_theirs_and_answers_nothing_of_ours() -> None:
    journal = Journal().mint(10)
    journal.add(EntryKind.SHIPPED, kg(10), reference="s", other_id="shop")
    way = Way(event_id="urn:e", party_id="urn:shop", at=NOW - timedelta(days=4))
    late, fresh = Ways(open=(way,)), Ways(open=(replace(way, at=NOW - timedelta(days=2)),))
    assert [(each.reference, each.by_partners_only) for each in found(journal, ways=late)] == [
        ("s", False),
        ("urn:e", True),
    ]
    assert [each.reference for each in found(journal, ways=fresh)] == ["s"]
    [_, arrived] = found(journal, ways=Ways(unannounced=(way,)))
    assert (arrived.code, arrived.by_partners_only) == (FindingCode.RECEIVED_NOT_SHIPPED, True)
