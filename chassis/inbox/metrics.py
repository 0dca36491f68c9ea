"""What Prometheus sees of a consumer."""

from prometheus_client import Counter, Gauge

IN_FLIGHT = Gauge("consumer_in_flight", "Events taken from the broker and not finished.", ["group"])
PAUSED = Gauge("consumer_paused", "1 while partitions are paused because too much is in flight.", ["group"])
LAG = Gauge("consumer_lag_records", "Records on the assigned partitions that are not finished.", ["group"])
APPLIED = Counter("consumer_applied", "Events applied.", ["group", "topic"])
DUPLICATES = Counter(
    "consumer_duplicates", "Events dropped because they were applied before.", ["group", "topic"]
)
RETRIES = Counter("consumer_retries", "Tries that failed for a passing reason.", ["group", "topic", "reason"])
PARKED = Counter("consumer_parked", "Events parked, those behind them included.", ["group", "topic"])
GAPS = Counter(
    "consumer_gaps", "Events met ahead of their turn, by what was done.", ["group", "topic", "outcome"]
)
REWINDS = Counter("consumer_rewinds", "Partitions read again from their beginning.", ["group", "topic"])
