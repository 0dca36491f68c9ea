"""A part of the fleet that runs, and the runner that starts, watches, restarts and stops it."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from fleet.errors import FleetError
from fleet.process import Child, Launch, describe_exit, tail

Kind = Literal["server", "service", "edge"]


class RunState(StrEnum):
    """Where a component is in its life."""

    WAITING = "waiting"
    STARTING = "starting"
    SERVING = "serving"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


class Component:
    """What the supervisor must know of one part: how to launch it and how to see that it answers.

    Args:
        name: unique in the fleet, also the name of its log.
        kind: `server`, `service` or `edge`.
        address: `host:port` where it answers.
        service: of which service it is a process; empty for servers and the edge.
        start_timeout_s: longest wait from launch to the first good answer.
        stop_grace_s: longest wait for an orderly end before it is killed.
        ports: TCP ports on 127.0.0.1 it needs, each with what it is for.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        address: str,
        *,
        service: str = "",
        start_timeout_s: float = 20.0,
        stop_grace_s: float = 5.0,
        ports: dict[int, str] | None = None,
    ) -> None:
        self.name = name
        self.kind: Kind = kind
        self.address = address
        self.service = service
        self.start_timeout_s = start_timeout_s
        self.stop_grace_s = stop_grace_s
        self.ports = ports or {}

    async def prepare(self) -> None:
        """Make what must exist before the launch (data folder, configuration)."""

    def launch(self) -> Launch | None:
        """How to start it; None when somebody else runs it and only its answer counts."""
        return None

    async def probe(self) -> None:
        """Return when it answers in its own protocol; raise anything when it does not yet."""
        raise NotImplementedError

    async def before_stop(self) -> None:
        """Let work in flight finish; bounded by the caller."""

    def unreachable(self) -> str:
        """The sentence for an external server that does not answer."""
        return f"{self.name} at {self.address} does not answer."


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How often a component that dies is started again.

    Args:
        limit: restarts within `window_s` seconds before it is given up; default 5 in 60 s.
        first_delay_s: wait before the first restart, doubled each time up to `longest_delay_s`.
    """

    limit: int = 5
    window_s: float = 60.0
    first_delay_s: float = 0.2
    longest_delay_s: float = 5.0

    def delay_s(self, recent_restarts: int) -> float:
        """Wait before the next restart after so many recent ones."""
        return min(self.longest_delay_s, self.first_delay_s * 2.0**recent_restarts)


class Runner:
    """Runs one component.

    Args:
        on_change: called after every change of state, on the event loop.
        say: takes one line for the person at the terminal.
    """

    def __init__(
        self,
        component: Component,
        *,
        on_change: Callable[["Runner"], None] = lambda _: None,
        say: Callable[[str], None] = lambda _: None,
        policy: RestartPolicy | None = None,
    ) -> None:
        self.component = component
        self.state = RunState.WAITING
        self.detail = ""
        self.restarts = 0
        self.ready_after_s: float | None = None
        self.child: Child | None = None
        self._on_change = on_change
        self._say = say
        self._policy = policy or RestartPolicy()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        return self.component.name

    async def start(self) -> None:
        """Launch it and return when it answers.

        Raises:
            FleetError: it ended or did not answer in time; carries the tail of its log.
        """
        began = time.monotonic()
        self._set(RunState.STARTING)
        try:
            await self.component.prepare()
            await self._launch_and_wait()
        except FleetError as error:
            self._set(RunState.FAILED, error.sentence)
            raise
        self.ready_after_s = time.monotonic() - began
        self._set(RunState.SERVING)
        if self.child is not None:
            self._watcher = asyncio.create_task(self._watch(self.child), name=f"watch-{self.name}")

    async def stop(self, grace_s: float) -> None:
        """Let it finish its work and end it, killed after `grace_s` seconds."""
        await self._end_watch()
        if self.child is None or not self.child.running:
            self._set(RunState.STOPPED)
            return
        self._set(RunState.STOPPING)
        deadline = time.monotonic() + grace_s
        with contextlib.suppress(Exception):  # a drain that fails must not keep the fleet from stopping
            async with asyncio.timeout(grace_s):
                await self.component.before_stop()
        orderly = await self.child.stop(max(0.1, deadline - time.monotonic()))
        self._set(RunState.STOPPED, "" if orderly else f"killed after {grace_s:.0f} s")

    async def kill(self) -> None:
        """End it at once."""
        await self._end_watch()
        if self.child is not None:
            await self.child.kill()
        self._set(RunState.STOPPED)

    async def _end_watch(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None

    async def _launch_and_wait(self) -> None:
        launch = self.component.launch()
        if launch is None:
            await self._wait_until_it_answers(None)
            return
        try:
            self.child = await Child.start(launch)
        except OSError as error:
            raise FleetError(f"{self.name} cannot be started: {error}.") from error
        try:
            await self._wait_until_it_answers(self.child)
        except BaseException:
            await self.child.kill()
            raise

    async def _wait_until_it_answers(self, child: Child | None) -> None:
        probing = asyncio.create_task(self._probe_repeatedly())
        ending = asyncio.create_task(child.wait()) if child else None
        watched = {probing, ending} if ending else {probing}
        try:
            done, _ = await asyncio.wait(
                watched, timeout=self.component.start_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if ending in done and ending is not None:
                raise self._did_not_come_up(f"ended with {describe_exit(ending.result())} while starting")
            if probing in done:
                probing.result()
                return
            raise self._did_not_come_up(f"did not answer within {self.component.start_timeout_s:.0f} s")
        finally:
            for task in watched:
                task.cancel()
            await asyncio.gather(*watched, return_exceptions=True)

    def _did_not_come_up(self, what: str) -> FleetError:
        launch = self.component.launch()
        if launch is None:
            return FleetError(self.component.unreachable())
        return FleetError(
            f"{self.name} {what}: see {launch.log_path}.",
            log_tail=tail(launch.log_path),
        )

    async def _probe_repeatedly(self) -> None:
        while True:
            try:
                async with asyncio.timeout(2.0):
                    await self.component.probe()
            except FleetError:
                raise
            except Exception:
                await asyncio.sleep(0.05)
            else:
                return

    async def _watch(self, child: Child) -> None:
        recent: list[float] = []
        while True:
            died = describe_exit(await child.wait())
            now = time.monotonic()
            recent = [moment for moment in recent if now - moment < self._policy.window_s]
            if len(recent) >= self._policy.limit:
                self._give_up(died)
                return
            delay_s = self._policy.delay_s(len(recent))
            recent.append(now)
            self._set(RunState.RESTARTING, f"died with {died}")
            self._say(f"{self.name} died with {died}; restart {len(recent)} in {delay_s:.1f} s.")
            await asyncio.sleep(delay_s)
            self.restarts += 1
            if await self._restart():
                self._say(f"{self.name} answers again.")
            if self.child is None:
                return
            child = self.child

    async def _restart(self) -> bool:
        try:
            await self.component.prepare()
            await self._launch_and_wait()
        except FleetError as error:
            self._set(RunState.RESTARTING, error.sentence)
            return False
        self._set(RunState.SERVING)
        return True

    def _give_up(self, died: str) -> None:
        sentence = (
            f"{self.name} died {self._policy.limit + 1} times within {self._policy.window_s:.0f} s "
            f"(last: {died}) and is not started again: see `greenledger logs {self.name}`."
        )
        self._set(RunState.FAILED, sentence)
        self._say(sentence)

    def _set(self, state: RunState, detail: str = "") -> None:
        self.state = state
        self.detail = detail
        self._on_change(self)
