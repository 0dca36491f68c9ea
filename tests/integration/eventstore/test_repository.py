"""Event-sourced aggregates."""

from dataclasses import dataclass, replace

import pytest
import pytest_asyncio

from chassis.database import Database
from chassis.errors import NotFound
from chassis.eventstore import (
    Aggregate,
    ConcurrencyError,
    EventStore,
    NewEvent,
    RecordedEvent,
    Repository,
    SnapshotCodec,
)
from chassis.schema import EVENT_STORE_V1
from chassis.testing import FixedClock, SequentialIds


@dataclass(frozen=True)
class Basket:
    id: str
    weight_g: int = 0


@dataclass(frozen=True)
class Added:
    weight_g: int


def evolve(basket: Basket, event: Added) -> Basket:
    return replace(basket, weight_g=basket.weight_g + event.weight_g)


def encode(event: Added) -> NewEvent:
    return NewEvent("basket.added", 1, {"weight_g": event.weight_g})


def decode(event: RecordedEvent) -> Added:
    return Added(event.data["weight_g"])


def baskets(store: EventStore, *, schema_version: int = 1, every: int = 3) -> Repository[Basket, Added]:
    snapshots = SnapshotCodec[Basket](
        encode=lambda basket: {"id": basket.id, "weight_g": basket.weight_g},
        decode=lambda state: Basket(**state),
        schema_version=schema_version,
        every=every,
    )
    return Repository(store, Aggregate("basket", Basket, evolve, encode, decode, snapshots))


@pytest_asyncio.fixture
async def store(database: Database) -> EventStore:
    await database.execute(EVENT_STORE_V1)
    return EventStore(database, FixedClock(), SequentialIds())


async def test_an_aggregate_is_what_its_events_made_of_it(store: EventStore) -> None:
    repository = Repository(store, Aggregate("basket", Basket, evolve, encode, decode))
    saved, recorded = await repository.save(repository.new("b"), [Added(5), Added(7)])
    assert saved == await repository.load("b")
    assert (saved.state, saved.version) == (Basket("b", 12), 2)
    assert [event.stream_id for event in recorded] == ["basket-b", "basket-b"]


async def test_an_unknown_aggregate_is_not_found(store: EventStore) -> None:
    with pytest.raises(NotFound) as refusal:
        await baskets(store).load("b")
    assert (refusal.value.reason, refusal.value.resource) == ("BASKET_NOT_FOUND", ("basket", "b"))
    assert await baskets(store).find("b") is None


async def test_of_two_decisions_on_one_state_the_second_is_refused(store: EventStore) -> None:
    repository = baskets(store)
    first = second = repository.new("b")
    await repository.save(first, [Added(1)])
    with pytest.raises(ConcurrencyError):
        await repository.save(second, [Added(1)])
    assert (await repository.load("b")).state.weight_g == 1


async def test_a_snapshot_is_taken_whenever_enough_events_have_come(store: EventStore) -> None:
    repository = baskets(store, every=3)
    loaded = repository.new("b")
    versions = []
    for _ in range(7):
        loaded, _ = await repository.save(loaded, [Added(1)])
        snapshot = await store.load_snapshot("basket-b")
        versions.append(snapshot.version if snapshot else 0)
    assert versions == [0, 0, 3, 3, 3, 6, 6]
    assert await repository.load("b") == loaded


async def test_a_snapshot_spares_the_events_before_it(store: EventStore, database: Database) -> None:
    repository = baskets(store, every=3)
    await repository.save(repository.new("b"), [Added(1)] * 4)
    await database.execute("DELETE FROM event WHERE version < 4")
    assert (await repository.load("b")).state.weight_g == 4


async def test_a_snapshot_of_another_shape_is_ignored(store: EventStore) -> None:
    old = baskets(store, schema_version=1)
    await old.save(old.new("b"), [Added(1)] * 3)
    reshaped = baskets(store, schema_version=2)
    assert (await reshaped.load("b")).state == Basket("b", 3)
    await reshaped.save(await reshaped.load("b"), [Added(1)] * 3)
    snapshot = await store.load_snapshot("basket-b")
    assert snapshot is not None
    assert (snapshot.version, snapshot.schema_version) == (6, 2)


async def test_a_decision_may_say_more_about_its_events(store: EventStore) -> None:
    repository = baskets(store)
    _, [event] = await repository.save(repository.new("b"), [Added(1)], {"reason": "harvest"})
    assert event.meta == {"reason": "harvest"}


async def test_no_decision_changes_nothing(store: EventStore) -> None:
    repository = baskets(store)
    loaded = repository.new("b")
    assert await repository.save(loaded, []) == (loaded, [])
