"""How far an order is known to have come."""

from enum import IntEnum


class OrderState(IntEnum):
    """States in the order in which they can follow; the highest that was heard of is the order's.

    So it does not matter in which order they are heard of. UNKNOWN: only its reservation was.
    """

    UNKNOWN = 0
    PENDING = 1
    CONFIRMED = 2
    FAILED = 3
    FULFILLED = 4
