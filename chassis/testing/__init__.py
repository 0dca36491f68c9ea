"""Fixtures and helpers for tests of services and of the chassis; never imported by production code."""

from chassis.clock import FixedClock
from chassis.ids import SequentialIds
from chassis.testing.eventually import eventually
from chassis.testing.logs import logged
from chassis.testing.postgres import PostgresServer
from chassis.testing.transactions import rolled_back

__all__ = ["FixedClock", "PostgresServer", "SequentialIds", "eventually", "logged", "rolled_back"]
