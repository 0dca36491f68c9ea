"""What Prometheus sees of the outbox."""

from prometheus_client import Counter, Gauge

LAG_ROWS = Gauge("outbox_lag_rows", "Committed events that the broker has not confirmed.", ["relay"])
LAG_SECONDS = Gauge("outbox_lag_seconds", "Age of the oldest of them.", ["relay"])
LEADER = Gauge("relay_leader", "1 where this process sends.", ["relay"])
BATCHES = Counter("relay_batches", "Batches confirmed by the broker.", ["relay"])
EVENTS = Counter("relay_events", "Events confirmed by the broker.", ["relay"])
FAILURES = Counter("relay_failures", "Attempts given up, by cause.", ["relay", "cause"])
REFILLS = Counter("relay_refills", "Times that a new incarnation of the broker was met.", ["relay"])
