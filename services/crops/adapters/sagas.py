"""The transfer saga: its definition, and how a request waits for it."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import DeadlineExceeded
from chassis.saga import Instance, Refusal, Saga, SagaEngine, Step, StepContext
from services.crops.application.ports import Progress, Transfer
from services.crops.application.transfer_steps import TransferSteps

NAME = "transfer_lot"
DEADLINE = timedelta(minutes=1)
_FIRST_POLL_S = 0.1
_LONGEST_POLL_S = 1.0


class Announcements:
    """Tells a waiting request of this process that its transfer is visible."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def announce(self, transfer_id: str) -> None:
        """Wake whoever waits for a transfer."""
        for event in self._waiting.get(transfer_id, ()):
            event.set()

    @contextmanager
    def expected(self, transfer_id: str) -> Iterator[asyncio.Event]:
        """An event that `announce` sets."""
        event = asyncio.Event()
        waiting = self._waiting.setdefault(transfer_id, set())
        waiting.add(event)
        try:
            yield event
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(transfer_id, None)


def transfer_saga(steps: TransferSteps, announcements: Announcements) -> Saga:
    """Begin, check the new owner, record, show, notify; no way back once it is recorded."""

    async def begin(step: StepContext) -> None:
        await steps.begin(step.saga_id, _transfer(step.data))

    async def cancel(step: StepContext) -> None:
        await steps.cancel(step.saga_id, _transfer(step.data))

    async def check_new_owner(step: StepContext) -> None:
        await steps.check_new_owner(_transfer(step.data))

    async def record(step: StepContext) -> Mapping[str, Any]:
        return {"version": await steps.record(step.saga_id, _transfer(step.data))}

    async def show(step: StepContext) -> Mapping[str, Any]:
        await steps.show(_transfer(step.data), step.data["version"])
        return {"shown": True}

    async def notify(step: StepContext) -> None:
        # That it is visible is recorded by now; whoever waits for it need not wait for a message.
        announcements.announce(step.saga_id)
        await steps.notify(_transfer(step.data), step.idempotency_key)

    return Saga(
        name=NAME,
        version=1,
        deadline=DEADLINE,
        steps=(
            Step("begin", begin, undo=cancel, local=True),
            Step("check_new_owner", check_new_owner, timeout=timedelta(seconds=3)),
            Step("record", record, pivot=True, local=True),
            Step("show", show),
            Step("notify", notify, timeout=timedelta(seconds=10)),
        ),
    )


class EngineTransfers:
    """Implements `Transfers`."""

    def __init__(
        self, database: Database, engine: SagaEngine, announcements: Announcements, clock: Clock
    ) -> None:
        self._database = database
        self._engine = engine
        self._announcements = announcements
        self._clock = clock

    async def start(self, transfer_id: str, transfer: Transfer) -> Progress:
        data = {name: getattr(transfer, name) for name in transfer.__dataclass_fields__}
        async with self._database.transaction() as tx:
            return _progress(await self._engine.start(tx, NAME, transfer_id, data))

    async def outcome(self, transfer_id: str, within: timedelta) -> Progress:
        deadline = self._clock.monotonic() + within.total_seconds()
        pause_s = _FIRST_POLL_S
        with self._announcements.expected(transfer_id) as announced:
            ended = asyncio.create_task(self._ended(transfer_id, within))
            heard = asyncio.create_task(announced.wait())
            try:
                while True:
                    # Another process may be at work on it, which cannot announce it here: so we also look.
                    left_s = deadline - self._clock.monotonic()
                    await asyncio.wait(
                        {ended, heard},
                        timeout=max(0.0, min(pause_s, left_s)),
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    progress = _progress(await self._engine.operator.get(transfer_id))
                    if progress.visible_version or progress.refusal or left_s <= 0:
                        return progress
                    pause_s = min(pause_s * 2, _LONGEST_POLL_S)
            finally:
                ended.cancel()
                heard.cancel()
                await asyncio.gather(ended, heard, return_exceptions=True)

    async def _ended(self, transfer_id: str, within: timedelta) -> None:
        try:
            await self._engine.outcome(transfer_id, within)
        except DeadlineExceeded:
            return


def _transfer(data: Mapping[str, Any]) -> Transfer:
    # What is not there was not known yet when the saga was started.
    return Transfer(**{name: data[name] for name in Transfer.__dataclass_fields__ if name in data})


def _progress(instance: Instance) -> Progress:
    version = instance.data["version"] if instance.data.get("shown") else None
    return Progress(_transfer(instance.data), version, Refusal.of(instance))
