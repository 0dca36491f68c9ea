"""Tests; a package for the sake of `tests.resilience.fleet`."""
