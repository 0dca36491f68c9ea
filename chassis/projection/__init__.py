"""Read models that follow the event store, and their rebuild beside the live one."""

from chassis.projection.checkpoint import ProjectionStatus, statuses
from chassis.projection.definition import Projection, ReadTable, Tables
from chassis.projection.rebuild import Rebuild, RebuildReport
from chassis.projection.runner import ProjectionRunner

__all__ = [
    "Projection",
    "ProjectionRunner",
    "ProjectionStatus",
    "ReadTable",
    "Rebuild",
    "RebuildReport",
    "Tables",
    "statuses",
]
