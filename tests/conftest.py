"""Fixtures that every kind of test may use, and what CI demands of a run."""

import os

import pytest
from hypothesis import settings

from chassis.testing.published import ABSENT

# How long an example takes says how busy the machine is, not whether it holds.
settings.register_profile("greenledger", deadline=None)
settings.load_profile("greenledger")

# A fork of ours (one starts PostgreSQL) becomes another program at once, but gRPC would stop all of its
# threads for it, and has hung at that (grpc/grpc#31885). gRPC reads this when it begins.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

pytest_plugins = ["chassis.testing.plugin", "chassis.testing.broker_plugin", "fleet.testing.plugin"]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI (GREENLEDGER_CI set, as `.ci/run` does) a skipped test is a failure: CI has every tool."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if not os.environ.get("GREENLEDGER_CI") or reporter is None:
        return
    if any(ABSENT not in str(report.longrepr) for report in reporter.stats.get("skipped", [])):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
