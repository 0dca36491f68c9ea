"""Who is there and who can be called: the registry's rules as functions of what it knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from chassis.errors import AlreadyExists, NotFound
from services.control.domain.instances import Health, Instance, callable_instances
from services.control.domain.registration import Announcement

PAUSE = timedelta(seconds=3)
"""A registry that was not swept for so long has been standing still, and heard no heartbeats either."""


@dataclass(frozen=True, slots=True)
class Registry:
    """What is known of every instance at one moment; each change makes another one.

    Args:
        instances: those that are registered, by id.
        listed: by service, those that calls may be sent to. A service that ever had some keeps the last ones
            known, also when all of them are gone: an empty list makes errors of calls that may succeed.
        warm_until: before this, nothing is taken out for what was seen or not seen of it.
        swept_at: when `swept` was last called.
        unheard: ids of those that were only remembered, and have not been heard of since; they keep no other
            of their service from their id or their place.
        lapsed: those of the last lease that went without a word while their checks still passed.
    """

    instances: Mapping[str, Instance] = field(default_factory=dict)
    listed: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)
    warm_until: datetime | None = None
    swept_at: datetime | None = None
    unheard: frozenset[str] = frozenset()
    lapsed: tuple[Instance, ...] = ()

    @classmethod
    def restored(
        cls, instances: Iterable[Instance], listed: Mapping[str, tuple[Instance, ...]], now: datetime
    ) -> "Registry":
        """A registry that begins with what another one knew: everybody has one lease to be heard of."""
        known = {instance.instance_id: instance for instance in instances}
        return cls(known, dict(listed), unheard=frozenset(known))._warming(now)._showing()

    def registered(self, told: Announcement, now: datetime) -> "Registry":
        """With a new instance, or with what it says of itself now.

        Whoever starts at an address where another instance of its service was known is its successor: two
        processes cannot listen there.

        Raises:
            InvalidArgument: REGISTRATION_INVALID.
            AlreadyExists: INSTANCE_TAKEN, the id is that of a living instance elsewhere, or the address that
                of an instance of another service whose lease is not over.
        """
        told.require_usable()
        fresh = told.begun(now)
        there = [entry for entry in self.instances.values() if _same_place(entry, fresh)]
        same_id = self.instances.get(told.instance_id)
        if same_id is not None and self._lives(same_id, now) and not _same_place(same_id, fresh):
            raise _taken(told, "the id is that of an instance at another address")
        if any(entry.service != told.service and _holds(entry, now) for entry in there):
            raise _taken(told, "the address is that of an instance of another service")
        # Only good news holds for what may be another life: who was critical has mended that, or is seen to.
        if same_id is not None and same_id.health is Health.PASSING and _continues(same_id, fresh):
            fresh = replace(
                fresh,
                registered_at=same_id.registered_at,
                health=same_id.health,
                health_changed_at=same_id.health_changed_at,
            )
        replaced = {entry.instance_id for entry in there}
        kept = {key: entry for key, entry in self.instances.items() if key not in replaced}
        return self._hearing(told.instance_id)._having({**kept, told.instance_id: fresh})

    def renewed(self, instance_id: str, now: datetime) -> "Registry":
        """With a longer lease; one that is draining does not get it, since it has said goodbye.

        Raises:
            NotFound: INSTANCE_NOT_FOUND, it has to register again.
        """
        instance = self.instances.get(instance_id)
        if instance is None:
            raise NotFound(
                "INSTANCE_NOT_FOUND",
                "no such instance is registered; register again",
                resource=("instance", instance_id),
            )
        if instance.health is Health.DRAINING:
            return self
        longer = replace(instance, lease_expires_at=now + instance.lease)
        # Nobody sees a lease in what is listed, so that stays as it is.
        return replace(self._hearing(instance_id), instances={**self.instances, instance_id: longer})

    def deregistered(self, instance_id: str, now: datetime) -> "Registry":
        """Without it for callers; it is shown as draining until its lease ends."""
        instance = self.instances.get(instance_id)
        if instance is None or instance.health is Health.DRAINING:
            return self
        leaving = replace(instance, health=Health.DRAINING, health_changed_at=now, health_detail="")
        return self._having({**self.instances, instance_id: leaving})

    def checked(self, seen: Instance, detail: str, now: datetime) -> "Registry":
        """With the outcome of a health check.

        Args:
            seen: the instance as it was when it was asked; an outcome of another life of it says nothing.
            detail: what the check met; empty when the instance is serving.
        """
        instance = self.instances.get(seen.instance_id)
        if instance is None or instance.health is Health.DRAINING or not _continues(instance, seen):
            return self
        if instance.registered_at != seen.registered_at:
            return self
        health = Health.CRITICAL if detail else Health.PASSING
        if (health, detail) == (instance.health, instance.health_detail):
            return self
        since = instance.health_changed_at if health is instance.health else now
        known = replace(instance, health=health, health_detail=detail, health_changed_at=since)
        return self._having({**self.instances, seen.instance_id: known})

    def swept(self, now: datetime) -> "Registry":
        """Without those whose lease is over, and those that were critical for too long.

        After a pause of the registry itself everybody has one lease to be heard of again.
        """
        if self.swept_at is not None and abs(now - self.swept_at) > PAUSE:
            return self._warming(now)
        warm = self.warm_until is not None and now < self.warm_until
        gone = {
            key
            for key, entry in self.instances.items()
            if entry.lease_expires_at <= now or (not warm and _given_up(entry, now))
        }
        current = replace(self, swept_at=now)
        if not gone:
            return current
        # Leases end one by one, also where nobody's heartbeats come through: who was there until now counts.
        lapsed = tuple(
            entry
            for entry in (*self.lapsed, *(self.instances[key] for key in gone))
            if entry.health is Health.PASSING and now < entry.lease_expires_at + entry.lease
        )
        left = {key: entry for key, entry in self.instances.items() if key not in gone}
        return replace(current, lapsed=lapsed)._having(left)

    def versions(self, service: str) -> frozenset[str]:
        """Those that a registered instance of the service runs and is to go on running."""
        return frozenset(
            entry.version
            for entry in self.instances.values()
            if entry.service == service and entry.health is not Health.DRAINING
        )

    def healthy(self, service: str) -> tuple[Instance, ...]:
        """The passing instances of a service, by id."""
        found = (entry for entry in self.instances.values() if entry.service == service)
        return tuple(sorted((e for e in found if e.health is Health.PASSING), key=_by_id))

    def _warming(self, now: datetime) -> "Registry":
        instances = {
            key: entry
            if entry.health is Health.DRAINING
            else replace(entry, lease_expires_at=now + entry.lease)
            for key, entry in self.instances.items()
        }
        longest = max((entry.lease for entry in instances.values()), default=timedelta(0))
        return replace(self, instances=instances, warm_until=now + longest, swept_at=now)

    def _lives(self, instance: Instance, now: datetime) -> bool:
        if instance.instance_id in self.unheard or instance.lease_expires_at <= now:
            return False
        return instance.health in (Health.UNKNOWN, Health.PASSING)

    def _hearing(self, instance_id: str) -> "Registry":
        return replace(self, unheard=self.unheard - {instance_id}) if instance_id in self.unheard else self

    def _having(self, instances: Mapping[str, Instance]) -> "Registry":
        return replace(self, instances=instances)._showing()

    def _showing(self) -> "Registry":
        listed = dict(self.listed)
        ordered = sorted(self.instances.values(), key=lambda entry: entry.service)
        for service, known in groupby(ordered, key=lambda entry: entry.service):
            chosen = callable_instances(known)
            if chosen and not _alike(chosen, listed.get(service, ())):
                listed[service] = chosen
        there = {(entry.address, entry.port): entry.service for entry in ordered}
        alive = set(there.values())
        for entry in self.lapsed:
            last = listed.get(entry.service, ())
            taken = entry.service in alive or (entry.address, entry.port) in there
            if not taken and all(known.instance_id != entry.instance_id for known in last):
                listed[entry.service] = tuple(sorted((*last, entry), key=_by_id))
        for service, some in listed.items():
            # Where another service listens now, nobody of this one does. None at all is never told.
            own = tuple(e for e in some if there.get((e.address, e.port), service) == service)
            if own and len(own) < len(some):
                listed[service] = own
        return replace(self, listed=listed)


def alike(one: Instance, other: Instance) -> bool:
    """Whether two states of an instance differ in nothing but the lease."""
    return replace(one, lease_expires_at=other.lease_expires_at) == other


def _alike(some: tuple[Instance, ...], others: tuple[Instance, ...]) -> bool:
    return len(some) == len(others) and all(map(alike, some, others))


def _by_id(instance: Instance) -> str:
    return instance.instance_id


def _same_place(one: Instance, other: Instance) -> bool:
    return (one.address, one.port) == (other.address, other.port)


def _continues(known: Instance, fresh: Instance) -> bool:
    """Whether what was seen of one life of an instance holds for the other."""
    return all(
        getattr(known, name) == getattr(fresh, name)
        for name in ("service", "version", "address", "port", "health_check")
    )


def _holds(instance: Instance, now: datetime) -> bool:
    """Whether other services are kept from its place.

    Also by one that is critical or was not heard of yet: it may live, and nobody may put out whose it is not.
    """
    return instance.health is not Health.DRAINING and instance.lease_expires_at > now


def _given_up(instance: Instance, now: datetime) -> bool:
    if instance.health is not Health.CRITICAL:
        return False
    return now - instance.health_changed_at >= instance.health_check.critical_timeout


def _taken(told: Announcement, why: str) -> AlreadyExists:
    return AlreadyExists("INSTANCE_TAKEN", why, resource=("instance", told.instance_id))
