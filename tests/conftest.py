"""Fixtures that every kind of test may use."""

pytest_plugins = ["chassis.testing.plugin", "chassis.testing.broker_plugin", "fleet.testing.plugin"]
