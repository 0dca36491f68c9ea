"""A watch that goes on for ever: of one replica of control after the other, whatever happens to them."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import random
from typing import Any

import grpc
import structlog

_log = structlog.get_logger(__name__)

Open = Callable[[], Any]
"""Begins a watch at one replica. A message of the call has a `snapshot`, a `heartbeat` or `ended`."""


class Watch:
    """Applies every snapshot of a watch; when the watch ends or fails, another replica is asked.

    What was applied last stays in force while no replica answers. A failure is logged once until it changes.

    Args:
        name: for the log.
        replicas: address and how to begin there; the first is asked first.
        apply: takes a snapshot; what it raises is logged, and the snapshot is not applied.
        silence: a watch without a message for so long is dead; default 45 s, three heartbeats.
        pause: between two attempts, about; default 1 s.
    """

    def __init__(
        self,
        name: str,
        replicas: Sequence[tuple[str, Open]],
        apply: Callable[[Any], None],
        *,
        silence: timedelta = timedelta(seconds=45),
        pause: timedelta = timedelta(seconds=1),
    ) -> None:
        self._name = name
        self._replicas = list(replicas)
        self._apply = apply
        self._silence_s = silence.total_seconds()
        self._pause_s = pause.total_seconds()
        self._problem = ""
        self._task: asyncio.Task[None] | None = None
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Watch until `stop`."""
        if self._replicas and not self._stopped.is_set():
            self._task = asyncio.create_task(self._watch())
        await self._stopped.wait()

    async def stop(self) -> None:
        """End the watch."""
        self._stopped.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        turn = 0
        while True:
            address, begin = self._replicas[turn % len(self._replicas)]
            turn += 1
            if await self._one(address, begin):
                continue  # it worked until it was ended, as when its replica stops: at once to the next
            # All together they would come back together.
            await asyncio.sleep(self._pause_s * (0.5 + random()))

    async def _one(self, address: str, begin: Open) -> bool:
        """One watch from begin to end; whether it brought anything."""
        brought = False
        call = None
        try:
            call = begin()
            while True:
                async with asyncio.timeout(self._silence_s):
                    message = await call.read()
                if message is grpc.aio.EOF:
                    self._note(f"{address} ended it")
                    return brought
                content = message.WhichOneof("content")
                if content == "ended":
                    return brought
                if content == "snapshot":
                    brought = self._take(message.snapshot) or brought
        except Exception as error:
            self._note(f"{address}: {_say(error)}")
            return False
        finally:
            if call is not None:
                call.cancel()

    def _take(self, snapshot: Any) -> bool:
        try:
            self._apply(snapshot)
        except Exception:
            _log.exception("control.snapshot_unusable", watch=self._name)
            return False
        self._note("")
        return True

    def _note(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if problem:
            _log.warning("control.watch_failed", watch=self._name, problem=problem)
        else:
            _log.info("control.watched", watch=self._name)


def _say(error: Exception) -> str:
    return error.code().name if isinstance(error, grpc.aio.AioRpcError) else repr(error)
