"""A message reaches its person whichever of notifications and users dies on its way."""

import asyncio
from typing import Any

import pytest

from chassis.testing import eventually
from fleet.testing.live import LiveFleet
from greenledger.notifications.v1 import notifications_pb2
from services.notifications.adapters.mailbox import Maildir
from services.notifications.application.deliver import DELIVERY_CRASHPOINTS
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.crashes import wait_for_its_death
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

STATE = "SELECT state FROM notification WHERE user_id = $1"


@pytest.mark.parametrize("point", DELIVERY_CRASHPOINTS)
async def test_a_message_is_sent_although_notifications_was_killed_on_the_way(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _everything_sent(live)
    await live.restart("notifications", point)
    request = market.registration()
    registering = asyncio.ensure_future(steps.create_user(live, request))
    await wait_for_its_death(live, "notifications")
    user_id = (await registering).user_id
    await live.start_service("notifications")
    # Its lease would run half a minute.
    await live.fetch("notifications", "UPDATE notification SET due_at = now() WHERE state = 'SCHEDULED'")
    await eventually(lambda: _is(live, user_id, "SENT"), 20)
    taken = await Maildir(live.settings.mailbox_dir).page(request.email, None, 10)
    # At least once: the mail server may have had it when notifications died.
    assert len(taken) == 1 + (point == "notifications.deliver.sent")
    ids = await live.fetch("notifications", "SELECT key FROM outbox WHERE topic = 'notification.sent'")
    mine = await live.fetchval(
        "notifications", "SELECT notification_id::text FROM notification WHERE user_id = $1", user_id
    )
    assert [row["key"] for row in ids].count(mine) == 1
    await invariants.check_events(live)


async def test_a_message_waits_for_users_and_holds_no_connection_meanwhile(
    market: Market, live: LiveFleet
) -> None:
    await _everything_sent(live)
    user_id = (await steps.create_user(live, market.registration())).user_id
    await eventually(lambda: _is(live, user_id, "SENT"), 20)
    await live.kill("users")
    notifications, token = live.rpc("notifications"), await live.token_of("crops")
    request = notifications_pb2.SendNotificationRequest(
        request_id=new_id(),
        user_id=user_id,
        template="lot-transferred",
        parameters={"lot_code": "L1", "from": "A", "to": "B"},
    )
    sent = await notifications.call(notifications.notifications.SendNotification, request, token)
    tried = "SELECT attempts > 0 AND last_error <> '' FROM notification WHERE notification_id = $1"
    await eventually(lambda: live.fetchval("notifications", tried, sent.notification_id), 20)
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state LIKE 'idle in%'"
    assert await live.fetchval("notifications", open_ones, "greenledger-notifications") == 0
    await live.start_service("users")
    await live.fetch("notifications", "UPDATE notification SET due_at = now() WHERE state = 'SCHEDULED'")
    await eventually(lambda: _is(live, user_id, "SENT"), 20)
    # It is a message of no transfer, which the invariants would miss.
    await live.fetch(
        "notifications", "DELETE FROM notification WHERE notification_id = $1", sent.notification_id
    )


async def _everything_sent(live: LiveFleet) -> None:
    left = "SELECT count(*) = 0 FROM notification WHERE state = 'SCHEDULED'"
    await eventually(lambda: live.fetchval("notifications", left), 30)


async def _is(live: LiveFleet, user_id: str, state: str) -> bool:
    rows: list[Any] = await live.fetch("notifications", STATE, user_id)
    return bool(rows) and {row["state"] for row in rows} == {state}
