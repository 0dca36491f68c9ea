"""A closed account leaves neither name nor address: not in any table of any database, nor in the broker."""

import asyncio
import uuid
from collections.abc import Sequence

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.testing import eventually
from fleet.client import Credentials, Session
from fleet.services import SERVICES
from fleet.testing.live import LiveFleet
from greenledger.crops.v1 import crops_pb2
from greenledger.users.v1 import users_pb2
from services.notifications.adapters.mailbox import Maildir
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.market import PASSWORD, Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def test_a_closed_account_leaves_neither_name_nor_address(market: Market, live: LiveFleet) -> None:
    token = uuid.uuid4().hex[:12]
    needles = (f"quirin.{token}@example.com", f"Quirin {token}", f"Zwingli {token}")
    person = await _lives(market, needles)
    owned = await _tables_with(live, needles)
    assert owned == ["auth.account", "users.person"], "nobody else keeps them, while the account is open"

    users = live.rpc("users")
    await users.call(users.users.DeleteUser, users_pb2.DeleteUserRequest(user_id=person.user_id), person)
    await invariants.everything_ended(live)
    await invariants.check_events(live)  # everybody has heard of it
    assert await _tables_with(live, needles) == []
    assert await asyncio.to_thread(_topics_with, live.bootstrap, needles) == []
    # What a mail server has received is out of our hands; the development mailbox forgets it after a week.
    assert await Maildir(live.settings.mailbox_dir).page(needles[0], None, 10)


async def _lives(market: Market, needles: Sequence[str]) -> Session:
    """Somebody registers, is refused a login, changes the name, orders, gets a lot and is told of it all."""
    live = market.live
    address, first_name, name = needles
    users, crops = live.rpc("users"), live.rpc("crops")
    request = users_pb2.CreateUserRequest(
        request_id=new_id(), email=address, password=PASSWORD, display_name=first_name, role="grower"
    )
    await steps.create_user(live, request)
    person = await market.log_in(Credentials(address, PASSWORD))
    changed = users_pb2.User(user_id=person.user_id, display_name=name)
    update = users_pb2.UpdateUserRequest(user=changed, update_mask=FieldMask(paths=["display_name"]))
    await users.call(users.users.UpdateUser, update, person)
    lot_id = await market.mint(f"erasure-{uuid.uuid4().hex[:8]}")
    for sender, receiver in ((market.grower, person), (person, market.grower)):
        transfer = crops_pb2.TransferLotRequest(
            request_id=new_id(), lot_id=lot_id, new_owner_id=receiver.user_id
        )
        await crops.call(crops.crops.TransferLot, transfer, sender)
    await market.outcome(new_id())
    await invariants.everything_ended(live)
    sent = "SELECT count(*) = 0 FROM notification WHERE state = 'SCHEDULED'"
    await eventually(lambda: live.fetchval("notifications", sent), 30)
    return person


async def _tables_with(live: LiveFleet, needles: Sequence[str]) -> list[str]:
    """Tables of all services that hold one of the words, as text or as bytes."""
    found = []
    wanted = [pattern for needle in needles for pattern in (needle, needle.encode().hex())]
    for service in (spec.name for spec in SERVICES):
        tables = await live.fetch(
            service,
            """
            SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
            WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
            """,
        )
        assert tables
        for table in tables:
            holds = f"SELECT count(*) FROM {table['name']} t WHERE t::text ILIKE ANY ($1::text[])"
            if await live.fetchval(service, holds, [f"%{each}%" for each in wanted]):
                found.append(f"{service}.{table['name'].removeprefix('public.')}")
    return sorted(found)


def _topics_with(bootstrap: str, needles: Sequence[str]) -> list[str]:
    """Topics of the broker with one of the words in a record."""
    settings = {"group.id": f"search-{uuid.uuid4()}", "enable.auto.commit": False}
    consumer = Consumer({"bootstrap.servers": bootstrap, "enable.partition.eof": True, **settings})
    try:
        places = [
            TopicPartition(topic.topic, partition, OFFSET_BEGINNING)
            for topic in consumer.list_topics(timeout=10).topics.values()
            for partition in topic.partitions
        ]
        consumer.assign(places)
        found, read, ended = set(), 0, 0
        while ended < len(places):
            record = consumer.poll(10.0)
            assert record is not None, "the broker does not answer"
            if (error := record.error()) is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended += 1
                continue
            read += 1
            content = b"|".join([record.key() or b"", record.value() or b"", repr(record.headers()).encode()])
            if any(needle.encode() in content for needle in needles):
                found.add(str(record.topic()))
    finally:
        consumer.close()
    assert read > 10, "the search saw no records"
    return sorted(found)
