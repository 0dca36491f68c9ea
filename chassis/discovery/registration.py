"""An instance in the registry: registered with every replica of control for as long as it serves."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import grpc
import structlog

from chassis.errors import NotFound
from chassis.settings import Settings, SettingsError
from greenledger.control.v1 import control_pb2

LEASE = timedelta(seconds=15)
"""How long a replica lists an instance that it hears nothing of."""

_log = structlog.get_logger(__name__)
_WILDCARDS = frozenset({"", "0.0.0.0", "[::]", "::"})


def instance_of(settings: Settings, dependencies: tuple[str, ...] = ()) -> control_pb2.Instance:
    """What a process says of itself.

    Args:
        settings: of the process.
        dependencies: services that it calls; default none.

    Raises:
        SettingsError: it listens on every address and GREENLEDGER_ADVERTISE does not say which others reach.
    """
    host, _, port = (settings.advertise or settings.listen).rpartition(":")
    if host in _WILDCARDS:
        raise SettingsError(
            f"GREENLEDGER_LISTEN is {settings.listen!r}, at which nobody can call; "
            "set GREENLEDGER_ADVERTISE to the host:port that others reach"
        )
    metadata = {"metrics": settings.metrics_listen} if settings.metrics_listen else {}
    return control_pb2.Instance(
        instance_id=settings.instance_id,
        service=settings.service,
        version=settings.version,
        address=host.strip("[]"),
        port=int(port),
        dependencies=dependencies,
        metadata=metadata,
    )


class Registrar:
    """Keeps one instance registered; each replica is told by itself and may be away.

    Nothing that control does or does not do ends the process: failures are logged, once until they change.

    Args:
        instance: what is registered.
        replicas: address -> stub of its RegistryService.
        lease: default 15 s; renewed at a third of it, unless the replica asks for another interval.
        pause: until the next try after a failure; default 1 s.
        on_registered: called whenever a replica has taken it; default nothing happens then.
    """

    def __init__(
        self,
        instance: control_pb2.Instance,
        replicas: Mapping[str, Any],
        *,
        lease: timedelta = LEASE,
        pause: timedelta = timedelta(seconds=1),
        on_registered: Callable[[], None] = lambda: None,
    ) -> None:
        self._instance = instance
        self._replicas = dict(replicas)
        self._lease = lease
        self._interval_s = lease.total_seconds() / 3
        self._pause_s = min(pause.total_seconds(), self._interval_s)
        self._on_registered = on_registered
        self._problems: dict[str, str | None] = dict.fromkeys(self._replicas)
        self._keeping: list[asyncio.Task[None]] = []
        self._stopped = asyncio.Event()

    @property
    def registered(self) -> frozenset[str]:
        """Addresses of the replicas that have the instance, as far as is known."""
        return frozenset(address for address, problem in self._problems.items() if problem == "")

    async def run(self) -> None:
        """Register and renew until `stop` or `deregister`; begin when the instance serves."""
        if self._stopped.is_set():
            return
        self._keeping = [
            asyncio.create_task(self._keep(address, stub)) for address, stub in self._replicas.items()
        ]
        await self._stopped.wait()

    async def stop(self) -> None:
        """End `run`; the instance stays listed until its lease is over, unless it was deregistered."""
        self._stopped.set()
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)

    async def deregister(self, within: timedelta = timedelta(seconds=1)) -> None:
        """Have the instance taken out everywhere, the first thing in draining.

        Args:
            within: what is waited for the replicas at most; default 1 s. One that did not hear of it finds
                out by its checks.
        """
        await self.stop()
        request = control_pb2.DeregisterRequest(instance_id=self._instance.instance_id)
        limit_s = within.total_seconds()
        calls = [
            asyncio.ensure_future(stub.Deregister(request, timeout=limit_s))
            for stub in self._replicas.values()
        ]
        if not calls:
            return
        done, pending = await asyncio.wait(calls, timeout=limit_s)
        for call in pending:
            call.cancel()
        failed = sum(1 for call in done if call.cancelled() or call.exception() is not None) + len(pending)
        _log.info("control.deregistered", replicas=len(calls) - failed, failed=failed)

    async def _keep(self, address: str, stub: Any) -> None:
        registered = False
        while True:
            pause_s = self._pause_s
            try:
                answer = await (self._renew(stub) if registered else self._register(stub))
                if not registered:
                    self._on_registered()
                registered = True
                self._note(address, "")
                pause_s = answer.heartbeat_interval.ToTimedelta().total_seconds() or self._interval_s
            except Exception as error:
                if registered and _unknown(error):
                    registered, pause_s = False, 0.0
                else:
                    self._note(address, _say(error))
            await asyncio.sleep(pause_s)

    def _register(self, stub: Any) -> Any:
        request = control_pb2.RegisterRequest(instance=self._instance)
        request.lease.FromTimedelta(self._lease)
        return stub.Register(request, timeout=self._interval_s)

    def _renew(self, stub: Any) -> Any:
        request = control_pb2.HeartbeatRequest(instance_id=self._instance.instance_id)
        return stub.Heartbeat(request, timeout=self._interval_s)

    def _note(self, address: str, problem: str) -> None:
        if self._problems[address] == problem:
            return
        self._problems[address] = problem
        if problem:
            _log.warning("control.not_registered", replica=address, problem=problem)
        else:
            _log.info("control.registered", replica=address, instance_id=self._instance.instance_id)


def _unknown(error: Exception) -> bool:
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code() is grpc.StatusCode.NOT_FOUND
    return isinstance(error, NotFound)


def _say(error: Exception) -> str:
    if isinstance(error, grpc.aio.AioRpcError):
        return error.code().name
    return f"{type(error).__name__}: {error}"
