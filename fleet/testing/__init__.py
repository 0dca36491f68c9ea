"""Helpers for tests that need a real fleet; never imported by production code."""
