"""Fixtures that every kind of test may use, and what CI demands of a run."""

import os

import pytest

pytest_plugins = ["chassis.testing.plugin", "chassis.testing.broker_plugin", "fleet.testing.plugin"]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI (GREENLEDGER_CI set, as `.ci/run` does) a skipped test is a failure: CI has every tool."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("GREENLEDGER_CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
