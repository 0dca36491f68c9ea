"""Read models that follow the event store, and their rebuild beside the live one."""

from chassis.projection.checkpoint import ProjectionStatus, statuses
from chassis.projection.definition import Projection, ReadTable, Tables
from chassis.projection.operator import ProjectionOperator, ProjectionState
from chassis.projection.rebuild import Checksum, Rebuild, RebuildReport
from chassis.projection.runner import ProjectionRunner

__all__ = [
    "Checksum",
    "Projection",
    "ProjectionOperator",
    "ProjectionRunner",
    "ProjectionState",
    "ProjectionStatus",
    "ReadTable",
    "Rebuild",
    "RebuildReport",
    "Tables",
    "statuses",
]
