"""What connects one process with the control plane."""

from collections.abc import Sequence
from functools import partial

from chassis.channels import Channels
from chassis.discovery.bootstrap import turned
from chassis.discovery.configuration import LiveConfiguration
from chassis.discovery.policies import Policies
from chassis.discovery.registration import Registrar, instance_of
from chassis.discovery.watch import Watch
from chassis.service import Background
from chassis.settings import Settings
from greenledger.control.v1 import (
    config_pb2,
    config_pb2_grpc,
    control_pb2_grpc,
    traffic_pb2,
    traffic_pb2_grpc,
)


class Discovery:
    """Registers the process and keeps it informed; nothing of it is fatal.

    Args:
        settings: who it is, and where the replicas of control are.
        channels: its `control` leads to the replicas, its `callees` get the policies of the peers in use.
        configuration: is told of settings that change.

    Raises:
        SettingsError: the instance has no address at which others can call it.
    """

    def __init__(self, settings: Settings, channels: Channels, configuration: LiveConfiguration) -> None:
        self.loops: Sequence[Background] = ()
        self._registrar: Registrar | None = None
        control = channels.control
        if control is None or not settings.control:
            return
        reached = {name: control.get(name) for name in turned(settings.control, settings.instance_id)}
        self._registrar = Registrar(
            instance_of(settings, channels.used),
            {name: control_pb2_grpc.RegistryServiceStub(channel) for name, channel in reached.items()},
            on_registered=channels.connect,
        )
        configs = [(name, config_pb2_grpc.ConfigServiceStub(channel)) for name, channel in reached.items()]
        wanted = config_pb2.WatchConfigRequest(service=settings.service)
        watches = [
            Watch(
                "configuration",
                [(name, partial(stub.WatchConfig, wanted)) for name, stub in configs],
                lambda snapshot: configuration.apply(settings.service, snapshot),
            )
        ]
        if channels.used:
            called = traffic_pb2.WatchTrafficPoliciesRequest(services=channels.used)
            traffic = [
                (name, traffic_pb2_grpc.TrafficServiceStub(channel)) for name, channel in reached.items()
            ]
            watches.append(
                Watch(
                    "policies",
                    [(name, partial(stub.WatchTrafficPolicies, called)) for name, stub in traffic],
                    Policies(channels.callees).apply,
                )
            )
        self.loops = (self._registrar, *watches)

    async def deregister(self) -> None:
        """Have the instance taken out of the registry, within a second; the first thing in draining."""
        if self._registrar is not None:
            await self._registrar.deregister()
