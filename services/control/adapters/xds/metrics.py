"""What the discovery service counts."""

from prometheus_client import Counter, Gauge

STREAMS = Gauge("xds_streams", "Open streams, by kind of client.", ["kind"])
PUSHES = Counter("xds_pushes", "Responses sent.", ["kind", "type"])
ANSWERS = Counter("xds_answers", "Responses taken (ack) or refused (nack).", ["kind", "type", "outcome"])
REFUSED_STREAMS = Counter("xds_refused_streams", "Streams refused because too many were open.")
RENDER_FAILURES = Counter("xds_render_failures", "Renders not sent: the last good one stays.", ["kind"])
RENDERS = Counter("xds_renders", "Renders of one service, or of what services share.", ["kind"])
LIMITED = Counter("xds_rate_limit_decisions", "Answers of the shared rate limit.", ["client", "outcome"])
COUNTERS_LOST = Counter(
    "xds_rate_limit_counters_lost",
    "Requests that this process counted alone, without the shared counters.",
)
