"""Crash points."""

import signal
import subprocess
import sys

import pytest

from chassis.crashpoints import CrashpointHit, arm, arm_from_environment, crashpoint, declared, disarm


def test_an_unarmed_point_does_nothing_but_is_listed() -> None:
    crashpoint("test.unarmed")
    assert "test.unarmed" in declared()


def test_a_point_armed_to_throw_throws_once() -> None:
    arm("test.once:throw")
    with pytest.raises(CrashpointHit, match=r"test\.once"):
        crashpoint("test.once")
    crashpoint("test.once")


def test_the_nth_hit_is_the_one_that_counts() -> None:
    arm("test.third:throw@3")
    crashpoint("test.third")
    crashpoint("test.third")
    with pytest.raises(CrashpointHit):
        crashpoint("test.third")


def test_other_points_go_on_while_one_is_armed() -> None:
    arm("test.a:throw, test.b:delay=1")
    crashpoint("test.b")
    crashpoint("test.c")
    with pytest.raises(CrashpointHit):
        crashpoint("test.a")


def test_disarming_makes_every_point_harmless() -> None:
    arm("test.disarmed:throw")
    disarm()
    crashpoint("test.disarmed")


def test_a_crash_is_not_caught_as_an_ordinary_exception() -> None:
    assert not issubclass(CrashpointHit, Exception)


def test_a_process_is_killed_at_its_point_when_the_environment_says_so() -> None:
    program = (
        "from chassis.crashpoints import *; arm_from_environment(); "
        "crashpoint('a'); print('between', flush=True); crashpoint('b'); print('after')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"GREENLEDGER_CRASHPOINT": "b", "PYTHONPATH": "."},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b"between\n"


def test_production_refuses_to_be_armed() -> None:
    environment = {"GREENLEDGER_CRASHPOINT": "x", "GREENLEDGER_ENV": "production"}
    with pytest.raises(ValueError, match="production"):
        arm_from_environment(environment)


@pytest.mark.parametrize("specification", ["", ":kill", "a:explode", "a:delay", "a:throw=3", "a@0", "a@x"])
def test_a_malformed_specification_is_refused(specification: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        arm(specification)
