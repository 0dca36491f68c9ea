"""Members of a fleet that are no services, by the names in their certificates and in contracts."""

from typing import Final

EDGE: Final = "edge"
"""The proxy: whoever calls through it comes from outside."""

OPERATOR: Final = "operator"
"""Whoever has the fleet's state folder: the supervisor's health checks and the command line."""
