"""The mechanisms' tables, for `op.execute` in the migrations of services.

Each version is frozen once released: a later change is a `_V2` script, run by a new migration.
"""

from chassis.audit import CREATE_V1 as AUDIT_V1
from chassis.eventstore.schema import CREATE_V1 as EVENT_STORE_V1
from chassis.eventstore.schema import DROP_V1 as EVENT_STORE_V1_DROP
from chassis.idempotency import CREATE_V1 as IDEMPOTENCY_V1
from chassis.idempotency import DROP_V1 as IDEMPOTENCY_V1_DROP
from chassis.inbox.schema import INBOX_V1, INBOX_V1_DROP
from chassis.merklelog.schema import CREATE_V1 as MERKLE_LOG_V1
from chassis.merklelog.schema import CREATE_V2 as MERKLE_LOG_V2
from chassis.merklelog.schema import DROP_V1 as MERKLE_LOG_V1_DROP
from chassis.merklelog.schema import DROP_V2 as MERKLE_LOG_V2_DROP
from chassis.outbox.schema import OUTBOX_V1, OUTBOX_V1_DROP
from chassis.projection.schema import CREATE_V1 as PROJECTION_V1
from chassis.projection.schema import DROP_V1 as PROJECTION_V1_DROP
from chassis.saga.schema import SAGA_V1, SAGA_V1_DROP

AUDIT_V1_DROP = "DROP TABLE IF EXISTS operator_action;"
"""The audit of operators' actions. INBOX_V1 and SAGA_V1 make it too, so it is dropped after both."""

__all__ = [
    "AUDIT_V1",
    "AUDIT_V1_DROP",
    "EVENT_STORE_V1",
    "EVENT_STORE_V1_DROP",
    "IDEMPOTENCY_V1",
    "IDEMPOTENCY_V1_DROP",
    "INBOX_V1",
    "INBOX_V1_DROP",
    "MERKLE_LOG_V1",
    "MERKLE_LOG_V1_DROP",
    "MERKLE_LOG_V2",
    "MERKLE_LOG_V2_DROP",
    "OUTBOX_V1",
    "OUTBOX_V1_DROP",
    "PROJECTION_V1",
    "PROJECTION_V1_DROP",
    "SAGA_V1",
    "SAGA_V1_DROP",
]
