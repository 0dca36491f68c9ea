"""Tests that kill, stop and break; a package for the sake of `tests.resilience.fleet`."""
