"""What Prometheus sees of the sagas."""

from prometheus_client import Counter, Gauge, Histogram

STARTED = Counter("saga_started", "Instances started here.", ["saga"])
FINISHED = Counter("saga_finished", "Instances that ended here, by final state.", ["saga", "state"])
STEP_SECONDS = Histogram(
    "saga_step_seconds",
    "Duration of one attempt of a step, without its record.",
    ["saga", "step", "direction", "outcome"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
STUCK = Gauge("saga_stuck", "Instances that wait for an operator, in the whole database.", ["saga"])
IN_FLIGHT = Gauge("saga_in_flight", "Instances that this process works on.", ["saga"])
