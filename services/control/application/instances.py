"""How instances come, stay and go."""

from dataclasses import replace

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import PermissionDenied, Violation
from services.control.application.fleet import Fleet
from services.control.application.ports import Resolver
from services.control.domain.instances import Instance
from services.control.domain.registration import Announcement, unusable


class InstanceCommands:
    """Register, heartbeat, deregister: a service for its own instances, an operator for any."""

    def __init__(self, fleet: Fleet, resolver: Resolver, clock: Clock) -> None:
        self._fleet = fleet
        self._resolver = resolver
        self._clock = clock

    async def register(self, told: Announcement, actor: Principal) -> Instance:
        """Add an instance, or renew all that is known of it.

        One that gives a host name is known by its IP address: proxy and clients take no names.

        Raises:
            PermissionDenied: SERVICE_NOT_OWN.
            InvalidArgument: REGISTRATION_INVALID.
            AlreadyExists: INSTANCE_TAKEN.
        """
        _require_own(told.service, actor)
        known = self._fleet.registry.instances.get(told.instance_id)
        if known is not None:
            _require_own(known.service, actor)
        told.require_usable()
        address = await self._resolver.address_of(told.address)
        if address is None:
            raise unusable([Violation("instance.address", "is a host name that cannot be resolved")])
        found, now = replace(told, address=address), self._clock.now()
        registry = self._fleet.change_registry(lambda registry: registry.registered(found, now))
        return registry.instances[told.instance_id]

    def heartbeat(self, instance_id: str, actor: Principal) -> Instance:
        """Renew a lease.

        Raises:
            NotFound: INSTANCE_NOT_FOUND, it has to register again.
            PermissionDenied: SERVICE_NOT_OWN.
        """
        known = self._fleet.registry.instances.get(instance_id)
        if known is not None:
            _require_own(known.service, actor)
        now = self._clock.now()
        registry = self._fleet.change_registry(lambda registry: registry.renewed(instance_id, now))
        return registry.instances[instance_id]

    def deregister(self, instance_id: str, actor: Principal) -> None:
        """Take an instance out at once; one that is not there stays out.

        Raises:
            PermissionDenied: SERVICE_NOT_OWN.
        """
        known = self._fleet.registry.instances.get(instance_id)
        if known is None:
            return
        _require_own(known.service, actor)
        now = self._clock.now()
        self._fleet.change_registry(lambda registry: registry.deregistered(instance_id, now))


def _require_own(service: str, actor: Principal) -> None:
    if actor.kind == "service" and actor.subject != service:
        raise PermissionDenied(
            "SERVICE_NOT_OWN",
            "a service may register instances of itself only",
            metadata={"service": service},
        )
