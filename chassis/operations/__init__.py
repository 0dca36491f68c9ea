"""OperationsService: what an operator sees and may do in a running service."""

from chassis.operations.audit import AuditMethods
from chassis.operations.mechanisms import Mechanisms
from chassis.operations.outbox import OutboxMethods
from chassis.operations.parked import ParkedMethods
from chassis.operations.projections import ProjectionMethods
from chassis.operations.sagas import SagaMethods
from chassis.operations.status import StatusMethods
from chassis.service import Servicer
from greenledger.operations.v1 import operations_pb2_grpc

__all__ = ["Mechanisms", "OperationsServicer", "servicer"]

NAME = "greenledger.operations.v1.OperationsService"


class OperationsServicer(
    StatusMethods,
    SagaMethods,
    ParkedMethods,
    OutboxMethods,
    ProjectionMethods,
    AuditMethods,
    operations_pb2_grpc.OperationsServiceServicer,
):
    """Implements the contract on the mechanisms of one process; one base a mechanism."""


def servicer(operations: OperationsServicer) -> Servicer:
    """The declaration for the process's server."""
    return Servicer(NAME, operations_pb2_grpc.add_OperationsServiceServicer_to_server, operations)
