"""The registry's rules, one by one and in any order."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from chassis.errors import AlreadyExists, InvalidArgument, NotFound
from services.control.domain.instances import Health, HealthCheck, Instance
from services.control.domain.registration import Announcement
from services.control.domain.registry import PAUSE, Registry

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=15)


def told(instance_id: str = "orders-1", **facts: object) -> Announcement:
    given = {"service": "orders", "version": "v1", "address": "10.0.0.1", "port": 8080, "lease": LEASE}
    return Announcement(instance_id=instance_id, **{**given, **facts})


def passing(*announcements: Announcement, at: datetime = BEGINNING) -> Registry:
    registry = Registry().swept(at)
    for announcement in announcements:
        registry = registry.registered(announcement, at)
        registry = registry.checked(registry.instances[announcement.instance_id], "", at)
    return registry


def pass_time(registry: Registry, start: datetime, length: timedelta) -> Registry:
    """Sweep as the running process does."""
    now = start
    while now < start + length:
        now = min(now + PAUSE, start + length)
        registry = registry.swept(now)
    return registry


def ids(instances: tuple[Instance, ...]) -> list[str]:
    return [instance.instance_id for instance in instances]


def test_a_new_instance_is_not_healthy_before_it_was_checked_but_called_when_it_is_alone():
    registry = Registry().registered(told(), BEGINNING)
    assert registry.healthy("orders") == ()
    assert ids(registry.listed["orders"]) == ["orders-1"]


def test_beside_a_passing_one_a_new_instance_is_not_called_before_it_was_checked():
    registry = passing(told()).registered(told("orders-2", port=8081), BEGINNING)
    assert ids(registry.listed["orders"]) == ["orders-1"]


def test_registering_again_renews_and_keeps_what_was_seen():
    later = BEGINNING + timedelta(seconds=10)
    registry = passing(told()).registered(told(metadata={"zone": "b"}), later)
    (known,) = registry.healthy("orders")
    assert (known.registered_at, known.lease_expires_at) == (BEGINNING, later + LEASE)
    assert known.metadata == {"zone": "b"}


def test_another_version_under_the_same_id_has_to_be_checked_anew():
    registry = passing(told()).registered(told(version="v2"), BEGINNING)
    assert registry.instances["orders-1"].health is Health.UNKNOWN


def test_an_instance_that_was_critical_and_registers_again_is_a_new_one():
    registry = passing(told())
    dead = registry.instances["orders-1"]
    later = BEGINNING + timedelta(seconds=1)
    registry = registry.checked(dead, "UNAVAILABLE", BEGINNING).registered(told(), later)
    known = registry.instances["orders-1"]
    assert (known.health, known.health_detail, known.registered_at) == (Health.UNKNOWN, "", later)
    # A check that began in the life before says nothing of this one.
    assert registry.checked(dead, "UNAVAILABLE", later) is registry
    assert ids(registry.checked(known, "", later).healthy("orders")) == ["orders-1"]


def test_a_process_at_the_address_of_another_of_its_service_is_its_successor():
    registry = passing(told()).registered(told("orders-2"), BEGINNING)
    assert list(registry.instances) == ["orders-2"]


def test_the_address_of_a_living_instance_of_another_service_is_taken():
    with pytest.raises(AlreadyExists) as error:
        passing(told()).registered(told("crops-1", service="crops"), BEGINNING)
    assert error.value.reason == "INSTANCE_TAKEN"


@pytest.mark.parametrize("state", ["critical", "draining", "expired"])
def test_an_id_or_address_is_free_once_its_owner_is_not_alive(state):
    registry, now = passing(told()), BEGINNING
    if state == "critical":
        registry = registry.checked(registry.instances["orders-1"], "UNAVAILABLE", now)
    elif state == "draining":
        registry = registry.deregistered("orders-1", now)
    else:
        now += LEASE
    assert registry.registered(told(port=9), now).instances["orders-1"].port == 9
    assert list(registry.registered(told("orders-2"), now).instances) == ["orders-2"]


@pytest.mark.parametrize("state", ["draining", "expired"])
def test_another_service_may_have_an_address_when_its_owner_has_left_it(state):
    registry, now = passing(told()), BEGINNING
    if state == "draining":
        registry = registry.deregistered("orders-1", now)
    else:
        now += LEASE
    assert list(registry.registered(told("crops-1", service="crops"), now).instances) == ["crops-1"]


def test_no_service_puts_out_an_instance_of_another_that_is_critical_or_not_heard_of_yet():
    known = passing(told())
    critical = known.checked(known.instances["orders-1"], "UNAVAILABLE", BEGINNING)
    remembered = Registry.restored(known.instances.values(), known.listed, BEGINNING)
    for registry in (critical, remembered):
        with pytest.raises(AlreadyExists) as error:
            registry.registered(told("crops-1", service="crops"), BEGINNING)
        assert error.value.reason == "INSTANCE_TAKEN"
        assert registry.registered(told("crops-1", service="crops"), BEGINNING + LEASE)


def test_who_is_taken_out_has_to_register_again():
    registry = pass_time(passing(told()), BEGINNING, LEASE)
    with pytest.raises(NotFound) as error:
        registry.renewed("orders-1", BEGINNING + LEASE)
    assert error.value.reason == "INSTANCE_NOT_FOUND"


def test_who_has_said_goodbye_is_not_brought_back_by_a_late_heartbeat_or_check():
    registry = passing(told(), told("orders-2", port=8081))
    seen = registry.instances["orders-1"]
    left = registry.deregistered("orders-1", BEGINNING)
    soon = BEGINNING + timedelta(seconds=1)
    for later in (left.renewed("orders-1", soon), left.checked(seen, "", soon)):
        assert later.instances["orders-1"].lease_expires_at == BEGINNING + LEASE
        assert ids(later.listed["orders"]) == ["orders-2"]
        assert later.instances["orders-1"].health is Health.DRAINING


def test_the_outcome_of_a_check_of_an_earlier_life_says_nothing():
    registry = passing(told())
    seen = registry.instances["orders-1"]
    moved = registry.deregistered("orders-1", BEGINNING).registered(told(port=9), BEGINNING)
    assert moved.checked(seen, "", BEGINNING).instances["orders-1"].health is Health.UNKNOWN


def test_critical_instances_are_taken_out_after_their_time_and_not_before():
    check = HealthCheck(critical_timeout=timedelta(seconds=30))
    registry = passing(told(health_check=check, lease=timedelta(minutes=5)))
    registry = registry.checked(registry.instances["orders-1"], "UNAVAILABLE", BEGINNING)
    before = pass_time(registry, BEGINNING, timedelta(seconds=29))
    # Failing on, it is critical since it failed first.
    before = before.checked(before.instances["orders-1"], "again", BEGINNING + timedelta(seconds=29))
    assert "orders-1" in before.instances
    assert "orders-1" not in before.swept(BEGINNING + timedelta(seconds=30)).instances


def test_when_all_are_gone_the_last_ones_known_are_told():
    registry = passing(told(), told("orders-2", port=8081))
    registry = pass_time(registry, BEGINNING, LEASE)
    assert registry.instances == {}
    assert ids(registry.listed["orders"]) == ["orders-1", "orders-2"]


def test_when_all_fall_silent_one_after_the_other_all_of_them_are_told():
    registry = passing(told(), told("orders-2", port=8081), told("orders-3", port=8082))
    for number, instance_id in enumerate(("orders-2", "orders-3", "orders-1")):
        registry = registry.renewed(instance_id, BEGINNING + number * timedelta(seconds=2))
    registry = pass_time(registry, BEGINNING, LEASE + timedelta(seconds=3))
    assert ids(registry.listed["orders"]) == ["orders-1"]
    registry = pass_time(registry, BEGINNING + LEASE + timedelta(seconds=3), timedelta(seconds=2))
    assert registry.instances == {}
    assert ids(registry.listed["orders"]) == ["orders-1", "orders-2", "orders-3"]


def test_one_that_was_gone_before_the_others_fell_silent_is_not_told_again():
    registry = passing(told(), told("orders-2", port=8081))
    later = BEGINNING + 2 * LEASE
    registry = registry.renewed("orders-1", BEGINNING)
    now = BEGINNING
    while now < later:
        now += timedelta(seconds=1)
        registry = registry.renewed("orders-1", now).swept(now)
    assert ids(registry.listed["orders"]) == ["orders-1"]
    registry = pass_time(registry, now, LEASE)
    assert registry.instances == {}
    assert ids(registry.listed["orders"]) == ["orders-1"]


def test_the_first_one_that_comes_replaces_those_that_are_gone():
    registry = pass_time(passing(told()), BEGINNING, LEASE)
    registry = registry.registered(told("orders-2", port=8081), BEGINNING + LEASE)
    assert ids(registry.listed["orders"]) == ["orders-2"]


def test_of_those_that_are_gone_none_is_told_whose_address_another_service_has():
    registry = pass_time(passing(told(), told("orders-2", port=8081)), BEGINNING, LEASE)
    registry = registry.registered(told("crops-1", service="crops"), BEGINNING + LEASE)
    assert ids(registry.listed["orders"]) == ["orders-2"]
    # Nobody at all is never told.
    registry = registry.registered(told("crops-2", service="crops", port=8081), BEGINNING + LEASE)
    assert ids(registry.listed["orders"]) == ["orders-2"]


def test_a_registry_that_stood_still_gives_everybody_another_lease():
    registry = passing(told())
    woken = BEGINNING + timedelta(minutes=5)
    registry = registry.swept(woken)
    assert "orders-1" in registry.instances
    assert "orders-1" in pass_time(registry, woken, LEASE - PAUSE).instances
    assert "orders-1" not in pass_time(registry, woken, LEASE).instances


def test_a_clock_that_was_set_back_lengthens_no_lease():
    registry = passing(told()).swept(BEGINNING - timedelta(hours=1))
    assert registry.instances["orders-1"].lease_expires_at == BEGINNING - timedelta(hours=1) + LEASE


def test_a_restored_registry_takes_nobody_out_before_one_lease_has_passed():
    known = passing(told(), told("orders-2", port=8081, health_check=HealthCheck(critical_timeout=PAUSE)))
    known = known.checked(known.instances["orders-2"], "UNAVAILABLE", BEGINNING)
    start = BEGINNING + timedelta(days=1)
    registry = Registry.restored(known.instances.values(), known.listed, start)
    assert ids(registry.listed["orders"]) == ["orders-1"]
    assert set(pass_time(registry, start, LEASE - PAUSE).instances) == {"orders-1", "orders-2"}
    assert pass_time(registry, start, LEASE).instances == {}


def test_who_is_only_remembered_keeps_no_other_of_its_service_from_its_id_or_its_place():
    known = passing(told(), told("orders-2", port=8081))
    registry = Registry.restored(known.instances.values(), known.listed, BEGINNING)
    elsewhere = registry.registered(told(port=9), BEGINNING)
    assert elsewhere.instances["orders-1"].port == 9
    successor = registry.registered(told("orders-3"), BEGINNING)
    assert set(successor.instances) == {"orders-2", "orders-3"}
    with pytest.raises(AlreadyExists):
        registry.renewed("orders-1", BEGINNING).registered(told(port=9), BEGINNING)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "1.2.3", "a b", "-a", "a..b", "300.1.1.1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidArgument) as error:
        told(address=address).require_usable()
    assert [violation.field for violation in error.value.violations] == ["instance.address"]


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "orders", "orders-0.orders.svc.cluster.local", "a.b."]
)
def test_addresses_and_names_of_hosts_are_accepted(address):
    told(address=address).require_usable()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_does_not_exist_is_refused(port):
    with pytest.raises(InvalidArgument):
        told(port=port).require_usable()


class RegistryInAnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order, what callers are told is sound.

    The model knows when each instance was heard of last, and which services ever had one to call.
    """

    known = Bundle("known")

    @initialize()
    def begin(self) -> None:
        self.now = BEGINNING
        self.registry = Registry().swept(self.now)
        self.heard: dict[str, datetime] = {}
        self.leases: dict[str, timedelta] = {}
        self.served: set[str] = set()
        self.warm_until = BEGINNING

    @rule(
        target=known,
        service=st.sampled_from(["orders", "crops"]),
        number=st.integers(1, 3),
        lease_s=st.integers(1, 20),
        version=st.sampled_from(["v1", "v2"]),
    )
    def register(self, service: str, number: int, lease_s: int, version: str) -> str:
        name = f"{service}-{number}"
        port = number if service == "orders" else 100 + number
        announcement = told(
            name, service=service, port=port, lease=timedelta(seconds=lease_s), version=version
        )
        self.registry = self.registry.registered(announcement, self.now)
        self.heard[name], self.leases[name] = self.now, announcement.lease
        self.served.add(service)
        return name

    @rule(name=known)
    def heartbeat(self, name: str) -> None:
        instance = self.registry.instances.get(name)
        try:
            self.registry = self.registry.renewed(name, self.now)
        except NotFound:
            assert instance is None
            return
        if instance is not None and instance.health is not Health.DRAINING:
            self.heard[name] = self.now

    @rule(name=known)
    def deregister(self, name: str) -> None:
        self.registry = self.registry.deregistered(name, self.now)
        if name in self.registry.instances:
            assert name not in ids(self.registry.healthy(name.split("-", maxsplit=1)[0]))

    @rule(name=known, detail=st.sampled_from(["", "UNAVAILABLE"]))
    def check(self, name: str, detail: str) -> None:
        if name in self.registry.instances:
            self.registry = self.registry.checked(self.registry.instances[name], detail, self.now)

    @rule(milliseconds=st.integers(100, 3000))
    def time_passes(self, milliseconds: int) -> None:
        before = self.registry
        self.now += timedelta(milliseconds=milliseconds)
        self.registry = self.registry.swept(self.now)
        for name, instance in before.instances.items():
            if name not in self.registry.instances:
                lapsed = self.now - self.heard[name] >= self.leases[name]
                given_up = instance.health is Health.CRITICAL and self.now >= self.warm_until
                assert lapsed or given_up, "taken out although it was heard of and passing"
        for name in self.registry.instances:
            assert self.now - self.heard[name] < self.leases[name], "listed although its lease is over"

    @rule()
    def stand_still(self) -> None:
        before = self.registry.instances
        self.now += timedelta(minutes=10)
        self.registry = self.registry.swept(self.now)
        self._warm(before)

    @rule()
    def restart(self) -> None:
        before, listed = self.registry.instances, self.registry.listed
        self.now += timedelta(hours=1)
        self.registry = Registry.restored(before.values(), listed, self.now)
        self._warm(before)

    def _warm(self, before: Mapping[str, Instance]) -> None:
        alive = [name for name, entry in before.items() if entry.health is not Health.DRAINING]
        assert set(alive) <= set(self.registry.instances), "taken out before one lease has passed"
        for name in alive:
            self.heard[name] = self.now
        # Who was draining has nothing more to say.
        gone = [name for name in before if name not in alive]
        for name in gone:
            self.heard[name] = self.now - self.leases[name]
        self.registry = self.registry.swept(self.now)
        longest = max((self.leases[name] for name in before), default=timedelta(0))
        self.warm_until = self.now + longest

    @invariant()
    def no_service_that_had_instances_is_empty(self) -> None:
        assert set(self.registry.listed) == self.served
        assert all(self.registry.listed.values())

    @invariant()
    def passing_instances_are_listed_and_nobody_else_beside_them(self) -> None:
        for service in self.served:
            healthy = self.registry.healthy(service)
            if healthy:
                assert ids(self.registry.listed[service]) == ids(healthy)

    @invariant()
    def who_drains_is_not_listed_as_long_as_there_is_another(self) -> None:
        for service in self.served:
            here = [e for e in self.registry.instances.values() if e.service == service]
            staying = {e.instance_id for e in here if e.health is not Health.DRAINING}
            if staying:
                assert set(ids(self.registry.listed[service])) <= staying


TestRegistryInAnyOrder = RegistryInAnyOrder.TestCase
TestRegistryInAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
