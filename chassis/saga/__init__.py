"""Sagas: a sequence of steps over several services that ends whole or not at all."""

from chassis.saga.definition import (
    FOREVER,
    Direction,
    Failure,
    Retry,
    Saga,
    Step,
    StepContext,
    UnknownDefinition,
    crashpoints_of,
    idempotency_key,
)
from chassis.saga.engine import ENGINE_CRASHPOINTS, SagaEngine
from chassis.saga.instance import Instance, State, StepRecord, StepState
from chassis.saga.operator import OperatorAction, SagaOperator
from chassis.saga.outcomes import StepRejected
from chassis.saga.requests import Refusal, newest_attempt

__all__ = [
    "ENGINE_CRASHPOINTS",
    "FOREVER",
    "Direction",
    "Failure",
    "Instance",
    "OperatorAction",
    "Refusal",
    "Retry",
    "Saga",
    "SagaEngine",
    "SagaOperator",
    "State",
    "Step",
    "StepContext",
    "StepRecord",
    "StepRejected",
    "StepState",
    "UnknownDefinition",
    "crashpoints_of",
    "idempotency_key",
    "newest_attempt",
]
