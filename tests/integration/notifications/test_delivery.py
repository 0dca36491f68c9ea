"""What is scheduled is sent over SMTP, tried again for as long as it makes sense, and told once."""

import asyncio
from datetime import timedelta

import pytest

from chassis.background import Every
from chassis.errors import DeadlineExceeded
from chassis.testing import eventually
from chassis.wakeup import Wakeup
from services.notifications.application.deliver import BATCH, LEASE
from services.notifications.domain.notification import LONGEST_PAUSE, MAX_ATTEMPTS, State
from tests.integration.notifications.conftest import ADDRESS, ANN, MailServer, Notifications

CLOSED = "smtp://127.0.0.1:1"


async def test_a_message_reaches_the_address_that_users_has(notifications: Notifications, mail_server):
    notifications.knows()
    scheduled = await notifications.welcome()
    assert await notifications.deliver() == 1
    ((recipients, message),) = mail_server.taken
    assert (recipients, message["To"]) == ([ADDRESS], ADDRESS)
    assert message["Subject"] == "Welcome to GreenLedger"
    assert message["Message-ID"] == f"<{scheduled.notification_id}@greenledger.local>"
    assert message.get_content().startswith("Hello Ann,")
    sent = await notifications.of(scheduled)
    assert (sent.state, sent.attempts, sent.delivered_at) == (State.SENT, 1, notifications.clock.now())
    assert await notifications.deliver() == 0
    assert await notifications.topics() == ["sent"]


async def test_one_cause_is_told_once(notifications: Notifications, mail_server: MailServer):
    notifications.knows()
    start = asyncio.Barrier(5)

    async def schedule() -> str:
        await start.wait()
        return (await notifications.welcome("event-1")).notification_id

    assert len(set(await asyncio.gather(*(schedule() for _ in range(5))))) == 1
    await notifications.deliver()
    await notifications.welcome("event-1")
    assert await notifications.deliver() == 0
    await notifications.welcome("event-2")
    await notifications.deliver()
    assert len(mail_server.taken) == 2


async def test_preferences_suppress_what_they_forbid_and_only_that(notifications, mail_server):
    notifications.knows(order_updates=False)
    update = await notifications.schedule(
        "e1", ANN, "order-fulfilled", {"order_id": "o1", "total": "5.00 USD"}
    )
    refund = await notifications.schedule(
        "e2", ANN, "payment-refunded", {"order_id": "o1", "amount": "5.00 USD"}
    )
    await notifications.deliver()
    assert (await notifications.of(update)).state is State.SUPPRESSED
    assert (await notifications.of(refund)).state is State.SENT
    assert await notifications.topics() == ["sent"]


async def test_the_address_of_the_moment_is_used_and_who_is_not_there_is_not_told(
    notifications: Notifications, mail_server: MailServer
):
    notifications.knows(email="old@example.org")
    moved, gone = await notifications.welcome(), await notifications.welcome(user_id="someone-else")
    notifications.knows(email="new@example.org")
    await notifications.deliver()
    assert (await notifications.of(moved)).state is State.SENT
    assert (await notifications.of(gone)).state is State.SUPPRESSED
    assert [recipients for recipients, _ in mail_server.taken] == [["new@example.org"]]


async def test_while_users_does_not_answer_a_message_waits(
    notifications: Notifications, mail_server: MailServer
):
    notifications.knows()
    scheduled = await notifications.welcome()
    notifications.people.trouble = DeadlineExceeded("DEADLINE_EXCEEDED", "users does not answer")
    await notifications.deliver()
    waiting = await notifications.of(scheduled)
    assert (waiting.state, "DEADLINE_EXCEEDED" in waiting.last_error) == (State.SCHEDULED, True)
    notifications.people.trouble = None
    notifications.clock.advance(LONGEST_PAUSE)
    await notifications.deliver()
    assert (await notifications.of(scheduled)).state is State.SENT
    assert len(mail_server.taken) == 1


async def test_users_is_asked_outside_any_transaction(notifications: Notifications):
    connections: list[bool] = []

    async def find(user_id: str) -> None:
        connections.append(notifications.database.ambient() is not None)

    notifications.people.find = find  # type: ignore[method-assign]
    await notifications.welcome()
    await notifications.deliver()
    assert connections == [False]


async def test_what_was_written_for_a_person_is_kept_only_until_it_is_sent(
    notifications: Notifications, mail_server: MailServer
):
    notifications.knows()
    words = {"lot_code": "ROM-1", "from": "Green Acres", "to": "Bistro", "further": "not stored at all"}
    scheduled = await notifications.schedule("e1", ANN, "lot-transferred", words)
    assert await _rows_with(notifications, "Green Acres", ADDRESS, "further") == [True, False, False]
    mail_server.rcpt = "450 4.2.1 Greylisted"
    await notifications.deliver()
    assert await _rows_with(notifications, "Green Acres", ADDRESS) == [True, False]
    mail_server.rcpt = ""
    notifications.clock.advance(LONGEST_PAUSE)
    await notifications.deliver()
    assert "From: Green Acres" in mail_server.taken[0][1].get_content()
    assert await _rows_with(notifications, "Green Acres", ADDRESS, "Ann") == [False, False, False]
    assert (await notifications.of(scheduled)).subject == "Lot ROM-1 has a new owner"


async def _rows_with(notifications: Notifications, *words: str) -> list[bool]:
    statement = "SELECT count(*) > 0 FROM notification n WHERE n::text LIKE '%' || $1 || '%'"
    return [await notifications.database.fetchval(statement, word) for word in words]


@pytest.mark.parametrize("answer", [{"rcpt": "550 5.1.1 No such box"}, {"data": "554 5.6.0 Refused"}])
async def test_a_refusal_for_good_is_given_up_at_once(notifications, mail_server, answer):
    notifications.knows()
    scheduled = await notifications.welcome()
    vars(mail_server).update(answer)
    await notifications.deliver()
    failed = await notifications.of(scheduled)
    assert (failed.state, failed.attempts, mail_server.asked) == (State.FAILED, 1, 1)
    assert next(iter(answer.values()))[:3] in failed.last_error
    assert await notifications.topics() == ["failed"]


@pytest.mark.parametrize("answer", [{"rcpt": "450 4.2.1 Greylisted"}, {"data": "451 4.3.0 Disk full"}])
async def test_a_refusal_for_now_is_tried_again(notifications, mail_server, answer):
    notifications.knows()
    scheduled = await notifications.welcome()
    vars(mail_server).update(answer)
    await notifications.deliver()
    waiting = await notifications.of(scheduled)
    assert (waiting.state, waiting.due_at - notifications.clock.now()) == (
        State.SCHEDULED,
        timedelta(seconds=1),
    )
    assert await notifications.deliver() == 0  # not due yet
    mail_server.rcpt = mail_server.data = ""
    notifications.clock.advance(timedelta(seconds=1))
    assert await notifications.deliver() == 1
    assert (await notifications.of(scheduled)).state is State.SENT


async def test_a_server_that_does_not_answer_is_tried_until_the_attempts_are_used_up(notifications):
    notifications.knows()
    notifications.use(CLOSED)
    scheduled = await notifications.welcome()
    for _ in range(MAX_ATTEMPTS):
        assert await notifications.deliver() == 1
        notifications.clock.advance(LONGEST_PAUSE)
    assert await notifications.deliver() == 0
    failed = await notifications.of(scheduled)
    assert (failed.state, failed.attempts) == (State.FAILED, MAX_ATTEMPTS)
    assert await notifications.topics() == ["failed"]


async def test_a_login_that_fails_is_our_trouble_and_not_the_messages(notifications, mail_server):
    notifications.knows()
    notifications.use(mail_server.url.replace("smtp://", "smtp://us:wrong@"))
    scheduled = await notifications.welcome()
    await notifications.deliver()
    assert (await notifications.of(scheduled)).state is State.SCHEDULED


async def test_an_address_that_cannot_be_written_fails_its_message_and_no_other(notifications, mail_server):
    notifications.knows("eve", "a,b@example.org")
    notifications.knows()
    bad, good = await notifications.welcome("e1", "eve"), await notifications.welcome("e2")
    await notifications.deliver()
    assert (await notifications.of(bad)).state is State.FAILED
    assert (await notifications.of(good)).state is State.SENT
    assert [recipients for recipients, _ in mail_server.taken] == [[ADDRESS]]


async def test_an_attempt_that_was_cut_short_is_repeated_after_its_lease(notifications, mail_server):
    notifications.knows()
    scheduled = await notifications.welcome()
    (claimed,) = await notifications.store.claim(notifications.clock.now(), LEASE, BATCH)
    assert claimed.notification_id == scheduled.notification_id  # and its process dies here
    assert await notifications.deliver() == 0
    notifications.clock.advance(LEASE)
    assert await notifications.deliver() == 1
    assert (await notifications.of(scheduled)).attempts == 2


async def test_of_two_attempts_at_once_the_end_is_recorded_and_told_once(notifications, mail_server):
    notifications.knows()
    scheduled = await notifications.welcome()
    (slow,) = await notifications.store.claim(notifications.clock.now(), LEASE, BATCH)
    notifications.clock.advance(LEASE)
    (quick,) = await notifications.store.claim(notifications.clock.now(), LEASE, BATCH)
    late = slow.failed_once("busy", notifications.clock.now(), permanent=True)
    assert not await notifications.store.finish(late)  # a failure of an attempt that is not the last
    assert await notifications.store.finish(quick.sent(notifications.clock.now()))
    assert not await notifications.store.finish(slow.sent(notifications.clock.now()))
    assert (await notifications.of(scheduled)).state is State.SENT


async def test_two_replicas_share_the_work_and_a_batch_is_sent_side_by_side(notifications, mail_server):
    notifications.knows()
    for number in range(BATCH + 5):
        await notifications.welcome(f"event-{number}")
    # All 25 wait for each other in the mail server: one after the other they would never end.
    mail_server.gate = asyncio.Barrier(BATCH + 5)
    tried = await asyncio.gather(notifications.deliver(), notifications.deliver())
    assert sorted(tried) == [5, BATCH]
    assert len({message["Message-ID"] for _, message in mail_server.taken}) == BATCH + 5


async def test_who_has_left_gets_nothing_more_and_nothing_written_for_them_stays(
    notifications: Notifications, mail_server: MailServer
):
    notifications.knows()
    words = {"lot_code": "ROM-1", "from": "Green Acres", "to": "Bistro"}
    pending = await notifications.schedule("e1", ANN, "lot-transferred", words)
    others = await notifications.schedule("e1", "someone-else", "lot-transferred", words)
    await notifications.store.forget(ANN)
    forgotten = await notifications.of(pending)
    assert (forgotten.state, forgotten.subject, forgotten.parameters) == (State.SUPPRESSED, "", {})
    assert (await notifications.of(others)).parameters == words
    notifications.people.known.clear()
    late = await notifications.welcome("late")
    await notifications.deliver()
    assert (await notifications.of(late)).state is State.SUPPRESSED
    assert mail_server.taken == []


async def test_the_loop_sends_what_is_scheduled_until_it_is_stopped(notifications, mail_server):
    notifications.knows()
    wakeup = Wakeup()
    loop = Every("delivery", notifications.deliver, wakeup=wakeup)
    running = asyncio.create_task(loop.run())
    await notifications.welcome()
    wakeup.notify()
    await eventually(lambda: mail_server.taken)
    await loop.stop()
    await asyncio.wait_for(running, 5)
