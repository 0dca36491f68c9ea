"""A recall reaches menus, guests, venue and grower once, whichever of those who tell dies on the way."""

from typing import Any

import pytest

from chassis.inbox.applier import INBOX_CRASHPOINTS
from chassis.testing import eventually
from fleet.client import CallFailed
from fleet.testing.live import LiveFleet
from greenledger.catalog.v1 import catalog_pb2
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.trace.v1 import recall_pb2
from services.notifications.adapters.mailbox import Maildir
from services.notifications.application.deliver import DELIVERY_CRASHPOINTS
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.crashes import wait_for_its_death
from tests.resilience.fleet.market import Goods, Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

DEATHS = [
    *(("notifications", point) for point in (*DELIVERY_CRASHPOINTS, *INBOX_CRASHPOINTS)),
    *((service, point) for service in ("catalog", "trace") for point in INBOX_CRASHPOINTS),
]
EVERYTHING = {
    recall_pb2.RECALL_ENTRY_KIND_LOT: (1, 0),
    recall_pb2.RECALL_ENTRY_KIND_STOCK: (1, 0),
    recall_pb2.RECALL_ENTRY_KIND_MENU_ITEM: (2, 0),
    recall_pb2.RECALL_ENTRY_KIND_ORDER: (1, 0),
    recall_pb2.RECALL_ENTRY_KIND_REFUND: (1, 0),
    recall_pb2.RECALL_ENTRY_KIND_GUEST: (1, 0),
    recall_pb2.RECALL_ENTRY_KIND_VENUE: (1, 0),
    recall_pb2.RECALL_ENTRY_KIND_HOLDER: (2, 0),
}


@pytest.mark.parametrize(("service", "point"), DEATHS)
async def test_a_recall_reaches_everybody_once_although_one_who_tells_died(
    market: Market, live: LiveFleet, service: str, point: str
) -> None:
    goods = await market.stocked(kilograms=5)
    special = await _dish_of_lot(market, goods.lot_id)
    request_id = new_id()
    assert await market.outcome(request_id, goods.menu_item_id) == "FULFILLED"
    await _everything_sent(live)
    await live.restart(service, point)
    recall_id = (await market.recall(goods.lot_id)).recall_id
    await wait_for_its_death(live, service)
    # Its leases would run half a minute.
    await live.fetch("notifications", "UPDATE notification SET due_at = now() WHERE attempts > 0")
    await live.start_service(service)
    await _complete(market, recall_id)
    await steps.refunded_once(live, await market.order_id(request_id))
    order_id = await market.order_id(request_id)
    await _each_told_once(market, recall_id, {goods.lot_id, order_id}, again=point.endswith("deliver.sent"))
    await _off_the_menu(market, goods, special)
    await invariants.check(live)
    await invariants.check_events(live)


async def test_a_drill_changes_nothing_and_tells_nobody(market: Market, live: LiveFleet) -> None:
    goods = await market.stocked(kilograms=5)
    assert await market.outcome(new_id(), goods.menu_item_id) == "FULFILLED"
    await invariants.check(live)
    await invariants.check_events(live)
    await _everything_sent(live)
    before = await _written(live)
    trace = live.rpc("trace")
    request = recall_pb2.DrillRecallRequest(lot_id=goods.lot_id)
    drill = await trace.call(trace.recalls.DrillRecall, request, market.operator)
    assert drill.state == recall_pb2.RECALL_STATE_DRILL
    assert {each.kind for each in drill.progress if each.outstanding} == set(
        recall_pb2.RecallEntryKind.values()[1:]
    )
    assert await _written(live) == before
    assert await market.outcome(new_id(), goods.menu_item_id) == "FULFILLED"


async def _dish_of_lot(market: Market, lot_id: str) -> str:
    """A dish that names the lot itself."""
    catalog = market.live.rpc("catalog")
    request = catalog_pb2.CreateMenuItemRequest(request_id=new_id(), venue_id=market.venue_id, name="Special")
    request.price.currency_code, request.price.units = "USD", 9
    request.ingredients.add(lot_id=lot_id, quantity=Quantity(amount="1", unit_code="KGM"))
    return (await catalog.call(catalog.catalog.CreateMenuItem, request, market.owner)).menu_item_id


async def _complete(market: Market, recall_id: str) -> None:
    """By trace's word everything is done."""
    trace = market.live.rpc("trace")
    request = recall_pb2.GetRecallRequest(recall_id=recall_id)

    async def complete() -> bool:
        try:
            found = await trace.call(trace.recalls.GetRecall, request, market.operator)
        except CallFailed as failure:
            if failure.reason != "RECALL_NOT_FOUND":
                raise
            return False
        assert {each.kind: (each.done, each.failed) for each in found.progress} == EVERYTHING, found
        return found.state == recall_pb2.RECALL_STATE_COMPLETE

    await eventually(complete, 40, interval_s=0.2)


async def _each_told_once(market: Market, recall_id: str, marks: set[str], *, again: bool) -> None:
    """One notification and one event each; one mail, or the same again, when its sending was cut short."""
    live = market.live
    people = {market.guest.user_id, market.owner.user_id, market.grower.user_id}
    rows = await live.fetch(
        "notifications",
        "SELECT notification_id::text AS id, user_id, state FROM notification WHERE recall_id = $1",
        recall_id,
    )
    assert sorted(row["user_id"] for row in rows) == sorted(people)
    assert {row["state"] for row in rows} == {"SENT"}
    events = await live.fetch("notifications", "SELECT key FROM outbox WHERE topic = 'notification.sent'")
    told = [row["key"] for row in events]
    for row in rows:
        assert told.count(row["id"]) == 1
        email = await live.fetchval(
            "users", "SELECT email FROM person WHERE user_id = $1::uuid", row["user_id"]
        )
        mails = await Maildir(live.settings.mailbox_dir).page(email, None, 1000)
        of_recall = [
            mail.text
            for mail in mails
            if mail.subject.startswith("Recall") and any(mark in mail.text for mark in marks)
        ]
        assert len(of_recall) in ((1, 2) if again else (1,)), of_recall
        assert len(set(of_recall)) == 1


async def _off_the_menu(market: Market, goods: Goods, special: str) -> None:
    live = market.live
    events = await live.fetch("catalog", "SELECT key FROM outbox WHERE topic = 'catalog.menu-item-delisted'")
    keys = [row["key"] for row in events]
    assert [keys.count(item) for item in (goods.menu_item_id, special)] == [1, 1]
    assert await market.outcome(new_id(), special) == "MENU_ITEM_UNAVAILABLE"
    catalog = live.rpc("catalog")
    relist = catalog_pb2.UpdateMenuItemRequest(
        menu_item=catalog_pb2.MenuItem(menu_item_id=special, available=True)
    )
    with pytest.raises(CallFailed, match="quarantine"):
        await catalog.call(catalog.catalog.UpdateMenuItem, relist, market.owner)


async def _written(live: LiveFleet) -> dict[str, Any]:
    """How many events each service has published, and how many messages were scheduled."""
    counts = {
        service: await live.fetchval(service, "SELECT count(*) FROM outbox")
        for service in (*invariants.PRODUCERS, "trace")
    }
    counts["messages"] = await live.fetchval("notifications", "SELECT count(*) FROM notification")
    counts["recalls"] = await live.fetchval("trace", "SELECT count(*) FROM recall")
    return counts


async def _everything_sent(live: LiveFleet) -> None:
    left = "SELECT count(*) = 0 FROM notification WHERE state = 'SCHEDULED'"
    await eventually(lambda: live.fetchval("notifications", left), 30)
