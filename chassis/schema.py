"""The mechanisms' tables, for `op.execute` in the migrations of services.

Each version is frozen once released: a later change is a `_V2` script, run by a new migration.
"""

from chassis.eventstore.schema import CREATE_V1 as EVENT_STORE_V1
from chassis.eventstore.schema import DROP_V1 as EVENT_STORE_V1_DROP
from chassis.idempotency import CREATE_V1 as IDEMPOTENCY_V1
from chassis.idempotency import DROP_V1 as IDEMPOTENCY_V1_DROP
from chassis.projection.schema import CREATE_V1 as PROJECTION_V1
from chassis.projection.schema import DROP_V1 as PROJECTION_V1_DROP

__all__ = [
    "EVENT_STORE_V1",
    "EVENT_STORE_V1_DROP",
    "IDEMPOTENCY_V1",
    "IDEMPOTENCY_V1_DROP",
    "PROJECTION_V1",
    "PROJECTION_V1_DROP",
]
