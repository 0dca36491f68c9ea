"""The runner of one component, with real child processes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from chassis.testing.eventually import eventually
from fleet.component import Component, RestartPolicy, Runner, RunState
from fleet.errors import FleetError
from fleet.process import Child, Launch

pytestmark = pytest.mark.slow
QUICK = RestartPolicy(limit=3, first_delay_s=0.01, longest_delay_s=0.02)


class Script(Component):
    """A Python one-liner that counts as up as soon as `flag` exists."""

    def __init__(self, folder: Path, code: str, *, start_timeout_s: float = 10.0) -> None:
        super().__init__("script", "service", "127.0.0.1:9", start_timeout_s=start_timeout_s)
        self.flag = folder / "flag"
        self.log = folder / "script.log"
        self._code = code

    def launch(self) -> Launch:
        return Launch(argv=[sys.executable, "-c", self._code, str(self.flag)], log_path=self.log)

    async def probe(self) -> None:
        self.flag.stat()


FLAG_AND_STAY = "import sys, pathlib, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"


async def test_a_component_that_never_answers_fails_in_time_and_is_ended(tmp_path: Path) -> None:
    runner = Runner(
        Script(tmp_path, "import time; print('waiting', flush=True); time.sleep(600)", start_timeout_s=1)
    )
    with pytest.raises(FleetError, match=r"script did not answer within 1 s: see .*script\.log") as failure:
        await runner.start()
    assert failure.value.log_tail == "waiting"
    assert runner.state is RunState.FAILED
    assert runner.child is not None
    assert not runner.child.running


async def test_a_component_that_keeps_dying_is_given_up_with_one_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    runner = Runner(Script(tmp_path, FLAG_AND_STAY), say=said.append, policy=QUICK)
    await runner.start()
    for deaths in range(QUICK.limit + 1):
        await eventually(lambda deaths=deaths: runner.restarts == deaths and runner.state is RunState.SERVING)
        assert runner.child is not None
        os.kill(runner.child.pid, signal.SIGKILL)
    await eventually(lambda: runner.state is RunState.FAILED)
    assert runner.restarts == QUICK.limit
    assert said[-1].startswith("script died 4 times within 60 s (last: SIGKILL) and is not started again")


async def test_a_component_that_ignores_the_signal_is_killed_after_its_grace(tmp_path: Path) -> None:
    runner = Runner(Script(tmp_path, "import signal; signal.signal(15, signal.SIG_IGN)\n" + FLAG_AND_STAY))
    await runner.start()
    assert runner.child is not None
    pid = runner.child.pid
    await runner.stop(0.2)
    assert runner.state is RunState.STOPPED
    assert runner.detail.startswith("killed after")
    assert not psutil.pid_exists(pid)


async def test_a_missing_program_is_one_sentence(tmp_path: Path) -> None:
    component = Script(tmp_path, "")
    component.launch = lambda: Launch(argv=["/nowhere/tool"], log_path=tmp_path / "script.log")  # type: ignore[method-assign]
    with pytest.raises(FleetError, match="script ended with exit code 1 while starting") as failure:
        await Runner(component).start()
    assert "/nowhere/tool" in failure.value.log_tail


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the death signal is Linux's")
async def test_a_child_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import asyncio, pathlib, os, sys\n"
        "from fleet.process import Child, Launch\n"
        "async def main():\n"
        "    log = pathlib.Path(sys.argv[1])\n"
        "    child = await Child.start(Launch(argv=['/bin/sleep', '600'], log_path=log))\n"
        "    print(child.pid, flush=True)\n"
        "    await child.wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, str(tmp_path / "log")), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    await eventually(lambda: child.name() == "sleep")
    parent.kill()
    await parent.wait()
    await eventually(lambda: not child.is_running())


async def test_a_child_has_a_process_group_of_its_own(tmp_path: Path) -> None:
    child = await Child.start(Launch(argv=["/bin/sleep", "600"], log_path=tmp_path / "log"))
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    assert await child.stop(5)
