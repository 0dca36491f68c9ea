"""The saga engine: starts instances, claims due ones, keeps their leases, recovers what a crash left."""

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from chassis import context as contexts
from chassis.clock import Clock, SystemClock
from chassis.crashpoints import crashpoint, declare
from chassis.database import Database, Transaction
from chassis.errors import AlreadyExists
from chassis.ids import IdSource, SystemIds
from chassis.saga import metrics
from chassis.saga.definition import Saga, UnknownDefinition, crashpoints_of
from chassis.saga.encoding import encode_object, save_context
from chassis.saga.ends import Ends
from chassis.saga.instance import Instance, State, new_instance
from chassis.saga.operator import SagaOperator
from chassis.saga.runner import Runner
from chassis.saga.store import LeaseLost, SagaStore
from chassis.saga.transitions import Course

_log = structlog.get_logger(__name__)

ENGINE_CRASHPOINTS = ("saga.engine.started", "saga.engine.claimed")
"""Crash points besides those of the steps: right after the commit of a start, right after a claim."""


class SagaEngine:
    """Runs sagas; several processes may run engines on one database.

    Args:
        db: the service's database, with the tables of `SAGA_V1`.
        sagas: definitions, old versions included while instances of them are in flight.
        clock: default the system's.
        ids: names this engine as a lease holder; default random.
        concurrency: instances in flight in this process; default 64.
        lease: after this long without renewal another engine takes over; default 5 s.
        poll: longest wait before looking for due instances again; default 500 ms.
        drain: how long `stop` waits for steps in hand; default 10 s.
        rng: for jitter; default random.
    """

    def __init__(
        self,
        db: Database,
        sagas: Iterable[Saga],
        *,
        clock: Clock | None = None,
        ids: IdSource | None = None,
        concurrency: int = 64,
        lease: timedelta = timedelta(seconds=5),
        poll: timedelta = timedelta(milliseconds=500),
        drain: timedelta = timedelta(seconds=10),
        rng: random.Random | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._sagas: dict[tuple[str, int], Saga] = {}
        for saga in sagas:
            if self._sagas.setdefault((saga.name, saga.version), saga) is not saga:
                raise ValueError(f"saga {saga.name!r} version {saga.version} is defined twice")
            declare(*crashpoints_of(saga), *ENGINE_CRASHPOINTS)
        hidden = {key: saga.hidden for key, saga in self._sagas.items()}
        self._store = SagaStore(db, self._clock, (ids or SystemIds()).uuid7(), lease, hidden)
        self._runner = Runner(db, self._store, self._clock, rng or random.Random(), lambda: self._stopping)
        self._concurrency = concurrency
        self._lease_s, self._poll_s, self._drain_s = (t.total_seconds() for t in (lease, poll, drain))
        self._in_flight: dict[asyncio.Task[None], Instance] = {}
        self._backlog: deque[Instance] = deque()
        self._being_claimed = 0
        self._wake = asyncio.Event()
        self._stopped = asyncio.Event()
        self._running = self._stopping = self._more_due = False
        self.operator = SagaOperator(db, self._store, self._sagas, self._clock, self._wake.set)
        self._ends = Ends(self.operator.get)

    async def start(self, tx: Transaction, name: str, saga_id: str, data: Mapping[str, Any]) -> Instance:
        """Start the highest version of a saga in the caller's transaction; it runs once that commits.

        Args:
            tx: commits or rolls back the start with the caller's own writes.
            name: a saga given to this engine.
            saga_id: the caller's id; a second start with it returns the existing instance.
            data: JSON object that the steps see.

        Raises:
            LookupError: no such definition.
            AlreadyExists: the id belongs to another saga.
            TypeError, ValueError: `data` is not JSON that can be stored.
        """
        versions = [saga for saga in self._sagas.values() if saga.name == name]
        if not versions:
            raise LookupError(f"no saga named {name!r} is defined")
        saga = max(versions, key=lambda candidate: candidate.version)
        encode_object(data)
        now, context = self._clock.now(), save_context(contexts.current())
        instance = new_instance(saga, saga_id, data, context, now)
        # Whoever starts a saga usually has room to run it: taking the lease along saves the claim.
        held = self._running and not self._stopping and self._load < 2 * self._concurrency
        announced = held and not saga.steps[0].local
        first = Course(saga, instance, instance.created_at).begin().records[0] if announced else None
        if not await self._store.start(tx, saga, instance, first, held=held):
            return await self._existing(tx, name, saga_id)
        if first is not None:
            instance.records[first.step, first.direction] = first
            instance.armed = True
        tx.on_commit(lambda: self._started(instance, held))
        return instance

    async def outcome(self, saga_id: str, timeout: timedelta) -> Instance:
        """Wait for the end of a saga, wherever it runs; see `state`, `data` and `failure` of the answer.

        Raises:
            NotFound: no such saga.
            DeadlineExceeded: it has not ended in time; it goes on, unless it is stuck.
        """
        return await self._ends.wait(saga_id, timeout, running_here=lambda: bool(self._tasks_of(saga_id)))

    async def purge(self, older_than: timedelta, limit: int = 1000) -> int:
        """Forget sagas that ended longer ago than this, at most `limit` at a time; returns how many."""
        return await self._store.purge(self._clock.now() - older_than, limit)

    async def check_definitions(self) -> None:
        """Look whether everything in flight can be continued here.

        Raises:
            UnknownDefinition: it cannot.
        """
        shapes = {key: saga.shape for key, saga in self._sagas.items()}
        unfinished = await self._store.unfinished()
        missing = [(n, v, count) for n, v, shape, count in unfinished if shapes.get((n, v)) != shape]
        if missing:
            raise UnknownDefinition(missing)

    async def run(self) -> None:
        """Work until `stop` or cancellation, then drain: finish the steps in hand, give the leases back.

        Raises:
            UnknownDefinition: before anything is claimed.
        """
        await self.check_definitions()
        self._running = True
        background = [asyncio.create_task(self._renew()), asyncio.create_task(self._watch_stuck())]
        try:
            await self._claim()
        finally:
            self._stopping = True
            await self._drain()
            self._running = False
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            self._stopped.set()

    async def stop(self) -> None:
        """End `run` and wait until it has drained."""
        self._stopping = True
        self._wake.set()
        if self._running:
            await self._stopped.wait()

    @property
    def running(self) -> bool:
        """Whether `run` is at work: definitions are checked and it has not drained."""
        return self._running

    @property
    def _load(self) -> int:
        return len(self._in_flight) + len(self._backlog)

    @property
    def _room(self) -> int:
        # What is being claimed has its place already, though nobody knows yet how much will come.
        return self._concurrency - len(self._in_flight) - self._being_claimed

    async def _existing(self, tx: Transaction, name: str, saga_id: str) -> Instance:
        existing = await self._store.get(saga_id, tx)
        if existing is None or existing.name != name:
            raise AlreadyExists("SAGA_ID_REUSED", f"{saga_id} is the id of another saga.")
        return existing

    def _started(self, instance: Instance, held: bool) -> None:
        crashpoint("saga.engine.started")
        metrics.STARTED.labels(instance.name).inc()
        if not held:
            self._wake.set()
        elif self._room > 0:
            self._spawn(instance)
        else:
            self._backlog.append(instance)

    def _spawn(self, instance: Instance) -> None:
        # An empty context: a step must not see the request, transaction or log fields of whoever kicked us.
        task = asyncio.create_task(self._work(instance), context=contextvars.Context())
        self._in_flight[task] = instance
        metrics.IN_FLIGHT.labels(instance.name).inc()
        task.add_done_callback(self._left)

    def _tasks_of(self, saga_id: str) -> list[asyncio.Task[None]]:
        return [task for task, instance in self._in_flight.items() if instance.saga_id == saga_id]

    async def _work(self, instance: Instance) -> None:
        log = _log.bind(saga=instance.name, version=instance.version, saga_id=instance.saga_id)
        try:
            last = await self._runner.drive(self._sagas[instance.name, instance.version], instance)
        except LeaseLost:
            log.warning("saga_lease_lost", epoch=instance.epoch)
            return
        if last.delay is not None:
            # A little late rather than early: the claim compares with the database's clock.
            asyncio.get_running_loop().call_later(last.delay.total_seconds() + 0.002, self._wake.set)
        elif instance.state is State.STUCK:
            log.error("saga_stuck", step=last.records[-1].step, error=last.records[-1].error)
        elif instance.state.final:
            hidden = self._sagas[instance.name, instance.version].hidden
            instance.data = {key: value for key, value in instance.data.items() if key not in hidden}
            metrics.FINISHED.labels(instance.name, instance.state.value).inc()
            failure = instance.failure
            log.info("saga_finished", state=instance.state.value, reason=failure and failure.reason)
            self._ends.announce(instance)

    def _left(self, task: asyncio.Task[None]) -> None:
        instance = self._in_flight.pop(task)
        metrics.IN_FLIGHT.labels(instance.name).dec()
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its lease runs out, then it is claimed and goes on from what is recorded.
            _log.error("saga_abandoned", saga=instance.name, saga_id=instance.saga_id, exc_info=error)
        self._take_up()
        if self._more_due and self._load < self._concurrency:
            self._wake.set()

    def _take_up(self) -> None:
        """Begin what waits for room; once the engine stops it waits to be given back."""
        while self._backlog and self._room > 0 and not self._stopping:
            self._spawn(self._backlog.popleft())

    async def _claim(self) -> None:
        while not self._stopping:
            self._wake.clear()
            free = self._concurrency - self._load
            if free > 0:
                try:
                    await self._claim_up_to(free)
                except Exception:
                    _log.exception("saga_claim_failed")
            self._take_up()
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _claim_up_to(self, free: int) -> None:
        self._being_claimed = free
        try:
            claimed = await self._store.claim(self._sagas.values(), free)
        finally:
            self._being_claimed = 0
        self._more_due = len(claimed) == free
        if claimed:
            crashpoint("saga.engine.claimed")
        for instance in claimed:
            if not self._kept(instance):
                # What we are still at with an older epoch is fenced off: an operator took it from us.
                for superseded in self._tasks_of(instance.saga_id):
                    superseded.cancel()
                self._spawn(instance)

    def _kept(self, claimed: Instance) -> bool:
        """Whether we are still at it, and nobody else was since our lease ran out: then its step goes on."""
        for ours in self._in_flight.values():
            same = (ours.saga_id, ours.revision, ours.epoch + 1)
            if ours.held and same == (claimed.saga_id, claimed.revision, claimed.epoch):
                ours.epoch = claimed.epoch
                return True
        return False

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            held = [*self._in_flight.values(), *self._backlog]
            if not held:
                continue
            try:
                await self._store.renew(held)
            except Exception:
                # The next beat tries again; should the lease end first, the epoch guards every write.
                _log.exception("saga_lease_not_renewed", instances=len(held))

    async def _watch_stuck(self) -> None:
        while True:
            try:
                counts = await self._store.stuck_counts()
                for name in {saga.name for saga in self._sagas.values()} | set(counts):
                    metrics.STUCK.labels(name).set(counts.get(name, 0))
            except Exception:
                _log.exception("saga_stuck_count_failed")
            await asyncio.sleep(10 * self._poll_s)

    async def _drain(self) -> None:
        if self._in_flight:
            await asyncio.wait(list(self._in_flight), timeout=self._drain_s)
        late = dict(self._in_flight)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late or self._backlog:
            try:
                await self._store.release([*late.values(), *self._backlog])
            except Exception:
                _log.exception("saga_leases_not_released", instances=len(late) + len(self._backlog))
