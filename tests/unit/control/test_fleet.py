"""What a replica tells, and what it remembers."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from asyncpg.exceptions import DiskFullError

from chassis.clock import FixedClock
from chassis.errors import Unavailable
from services.control.adapters.memory import SnapshotFile, memory_from_json, memory_to_json
from services.control.adapters.metrics import INSTANCES, RegistryMetrics
from services.control.application.fleet import Fleet
from services.control.application.ports import Memory
from services.control.application.refresh import Refresh
from services.control.application.remember import Recall, Remember
from services.control.domain.instances import Health, HealthCheck
from services.control.domain.policy import EdgePolicy, TrafficPolicy, VersionWeight
from services.control.domain.registration import DEFAULT_LEASE, Announcement
from services.control.domain.versioned import Versioned
from services.control.domain.view import FleetView

SHIFTED = Versioned(TrafficPolicy("crops", weights=(VersionWeight("v1", 100),)), 3)


class Away:
    """A database that cannot be reached: every port that needs one."""

    async def current(self) -> int:
        raise Unavailable("UNAVAILABLE", "The database cannot be reached.")

    async def load(self) -> Memory | None:
        raise Unavailable("UNAVAILABLE", "The database cannot be reached.")

    async def save(self, _memory: Memory) -> None:
        raise Unavailable("UNAVAILABLE", "The database cannot be reached.")


class Empty:
    """A database that nobody has written to."""

    async def current(self) -> int:
        return 0

    async def newest(self) -> dict[str, Versioned]:
        return {}

    async def load(self) -> Memory | None:
        return None


def told(name: str = "crops-1", **facts: object) -> Announcement:
    given = {"service": "crops", "version": "v1", "address": "10.0.0.1", "port": 8080}
    return Announcement(instance_id=name, **{**given, **facts})


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def fleet(clock: FixedClock) -> Fleet:
    return Fleet({"orders": TrafficPolicy("orders", ring_size=7)}, EdgePolicy(), clock)


def register(fleet: Fleet, clock: FixedClock, *announcements: Announcement) -> None:
    for announcement in announcements:
        fleet.change_registry(lambda known, one=announcement: known.registered(one, clock.now()))
        seen = fleet.registry.instances[announcement.instance_id]
        fleet.change_registry(lambda known, one=seen: known.checked(one, "", clock.now()))


def recall(fleet: Fleet, database: object, file: SnapshotFile | None) -> Recall:
    return Recall(fleet, Refresh(fleet, database, database, database, database), database, file)


def test_a_view_has_who_can_be_called_and_a_policy_for_everybody(fleet, clock):
    fleet.tell()
    register(fleet, clock, told(), told("orders-1", service="orders", port=9))
    view = fleet.current()
    assert view.services == ("crops", "orders")
    assert [entry.instance_id for entry in view.instances["crops"]] == ["crops-1"]
    assert view.policies == {
        "crops": TrafficPolicy("crops"),
        "orders": TrafficPolicy("orders", ring_size=7),
    }


def test_a_heartbeat_is_no_news(fleet, clock):
    fleet.tell()
    register(fleet, clock, told())
    before, revision = fleet.current(), fleet.revision
    clock.advance(timedelta(seconds=1))
    fleet.change_registry(lambda known: known.renewed("crops-1", clock.now()))
    fleet.sweep()
    assert fleet.current() is before
    assert fleet.revision == revision


async def test_whoever_waits_gets_the_newest_view(fleet, clock):
    fleet.tell()
    seen = fleet.current().revision
    waiting = asyncio.ensure_future(fleet.wait_newer(seen))
    await asyncio.sleep(0)
    register(fleet, clock, told())
    fleet.change_settings({"crops": SHIFTED}, Versioned(), {})
    view = await waiting
    assert view is fleet.current()
    assert (view.revision > seen, view.policies["crops"]) == (True, SHIFTED.value)
    assert await fleet.wait_newer(0) is view


def test_a_policy_that_went_back_is_that_of_the_file(fleet):
    fleet.tell()
    fleet.change_settings({"orders": Versioned(None, 2)}, Versioned(None, 2), {})
    assert fleet.current().policies["orders"].ring_size == 7
    assert fleet.current().edge == EdgePolicy()


async def test_who_remembers_nobody_does_not_know_who_is_missing_for_one_lease(fleet, clock):
    await recall(fleet, Empty(), None)()
    assert fleet.current().revision == 1
    assert not fleet.current().complete
    clock.advance(DEFAULT_LEASE - timedelta(seconds=1))
    fleet.sweep()
    assert not fleet.current().complete
    clock.advance(timedelta(seconds=1))
    fleet.sweep()
    assert fleet.current().complete


async def test_without_any_memory_nothing_is_told_for_one_lease(fleet, clock):
    await recall(fleet, Away(), None)()
    register(fleet, clock, told())
    clock.advance(DEFAULT_LEASE - timedelta(seconds=1))
    fleet.change_registry(lambda known: known.renewed("crops-1", clock.now()))
    fleet.sweep()
    assert fleet.current() == FleetView(0)
    waiting = asyncio.ensure_future(fleet.wait_newer(0))
    clock.advance(timedelta(seconds=1))
    fleet.sweep()
    assert list((await waiting).instances) == ["crops"]


async def test_the_first_replica_of_a_new_fleet_tells_at_once(fleet):
    await recall(fleet, Empty(), None)()
    assert fleet.current().revision == 1


async def test_a_replica_without_its_database_begins_with_its_file(fleet, clock, tmp_path):
    register(fleet, clock, told(), told("crops-2", port=9))
    fleet.tell()
    fleet.change_settings(
        {"crops": SHIFTED}, Versioned(EdgePolicy(shared=True), 1), {"log.level": Versioned("DEBUG", 1)}
    )
    file = SnapshotFile(tmp_path / "deep" / "snapshot.json")
    await Remember(fleet, [Away(), file], clock)()

    later = FixedClock(clock.now() + timedelta(days=1))
    fresh = Fleet({}, EdgePolicy(), later)
    await recall(fresh, Away(), file)()
    view = fresh.current()
    assert view.revision
    assert [entry.instance_id for entry in view.instances["crops"]] == ["crops-1", "crops-2"]
    assert (view.policies["crops"], view.edge.shared) == (SHIFTED.value, True)
    assert fresh.config["log.level"].value == "DEBUG"
    # Nobody is heard of: for one lease that means nothing.
    for _ in range(14):
        later.advance(timedelta(seconds=1))
        fresh.sweep()
    assert len(fresh.registry.instances) == 2
    for _ in range(2):
        later.advance(timedelta(seconds=1))
        fresh.sweep()
    assert fresh.registry.instances == {}
    assert fresh.current().instances["crops"], "the last ones known stay"


async def test_who_was_last_known_is_still_told_after_a_restart(fleet, clock, tmp_path):
    register(fleet, clock, told())
    fleet.tell()
    for _ in range(16):
        clock.advance(timedelta(seconds=1))
        fleet.sweep()
    file = SnapshotFile(tmp_path / "snapshot.json")
    await Remember(fleet, [file], clock)()
    fresh = Fleet({}, EdgePolicy(), clock)
    await recall(fresh, Away(), file)()
    assert fresh.registry.instances == {}
    assert [entry.instance_id for entry in fresh.current().instances["crops"]] == ["crops-1"]


async def test_the_newer_of_two_memories_is_taken(fleet, clock, tmp_path):
    class Older(Empty):
        async def load(self) -> Memory | None:
            return Memory(clock.now() - timedelta(hours=1))

    register(fleet, clock, told())
    fleet.tell()
    file = SnapshotFile(tmp_path / "snapshot.json")
    await Remember(fleet, [file], clock)()
    fresh = Fleet({}, EdgePolicy(), clock)
    await recall(fresh, Older(), file)()
    assert list(fresh.registry.instances) == ["crops-1"]


async def test_a_clock_that_is_set_back_makes_nobody_wait_longer(fleet, clock):
    await recall(fleet, Away(), None)()
    clock.set_back(timedelta(hours=1))
    clock.advance(DEFAULT_LEASE)
    fleet.sweep()
    assert fleet.current().revision


async def test_what_is_known_is_saved_when_it_changed_and_not_before_it_is_told(fleet, clock, tmp_path):
    path = tmp_path / "snapshot.json"
    remember = Remember(fleet, [SnapshotFile(path)], clock)
    register(fleet, clock, told())
    await remember()
    assert not path.exists(), "too little is known to replace what was known before"
    fleet.tell()
    await remember()
    first = path.read_text()
    clock.advance(timedelta(minutes=1))
    await remember()
    assert path.read_text() == first
    fleet.change_registry(lambda known: known.deregistered("crops-1", clock.now()))
    await remember()
    saved = memory_from_json(path.read_text())
    assert saved is not None
    assert saved.instances[0].health is Health.DRAINING
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error", [Unavailable("UNAVAILABLE", "Away."), DiskFullError("no space left"), KeyError("x")]
)
async def test_a_place_that_fails_is_tried_again_later_and_holds_up_no_other(fleet, clock, tmp_path, error):
    tries = []

    class Counting(Away):
        async def save(self, memory: Memory) -> None:
            tries.append(memory)
            raise error

    path = tmp_path / "snapshot.json"
    remember = Remember(fleet, [Counting(), SnapshotFile(path)], clock)
    fleet.tell()
    register(fleet, clock, told())
    for _ in range(3):
        await remember()
    assert (len(tries), path.exists()) == (1, True)
    clock.advance(timedelta(seconds=5))
    await remember()
    assert len(tries) == 2


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 2}', '{"format": 1}', '{"format": 1, "saved_at": "never"}']
)
async def test_a_file_that_cannot_be_read_is_no_memory(tmp_path: Path, text: str):
    path = tmp_path / "snapshot.json"
    path.write_text(text)
    assert await SnapshotFile(path).load() is None


async def test_a_file_that_is_not_there_is_no_memory(tmp_path: Path):
    assert await SnapshotFile(tmp_path / "none.json").load() is None


def test_everything_that_is_known_survives_being_saved(fleet, clock):
    check = HealthCheck("orders", timedelta(seconds=1), timedelta(milliseconds=250), timedelta(minutes=2))
    odd = told(
        health_check=check, dependencies=("users",), metadata={"zone": "b"}, lease=timedelta(seconds=7)
    )
    register(fleet, clock, odd, told("crops-2", port=9))
    seen = fleet.registry.instances["crops-2"]
    fleet.change_registry(lambda known: known.checked(seen, "UNAVAILABLE", clock.now()))
    at = clock.now()
    fleet.change_settings(
        {
            "crops": replace(SHIFTED, updated_at=at, updated_by="olga", why="x"),
            "orders": Versioned(None, 2, at),
        },
        Versioned(EdgePolicy(shared=True), 4, at, "olga", "y"),
        {"log.level": Versioned("DEBUG", 1, at)},
    )
    known = fleet.memory()
    assert memory_from_json(memory_to_json(known)) == known


def test_the_gauges_show_who_is_there_and_forget_who_is_gone(fleet, clock):
    gauges = RegistryMetrics()
    register(fleet, clock, told(), told("crops-2", port=9))
    fleet.change_registry(lambda known: known.registered(told("crops-3", port=10, version="v2"), clock.now()))

    def shown() -> dict[tuple[str, str], float]:
        samples = [sample for family in INSTANCES.collect() for sample in family.samples]
        of_crops = [sample for sample in samples if sample.labels["service"] == "crops"]
        return {(sample.labels["version"], sample.labels["health"]): sample.value for sample in of_crops}

    gauges.show(fleet.registry.instances.values(), 1)
    assert shown() == {("v1", "passing"): 2, ("v2", "unknown"): 1}
    gauges.show([], 2)
    gauges.show([], 3)
    assert shown() == {}
