"""Further librdkafka properties, as a deployment gives them: SASL, TLS, and what its network needs.

Values may be secrets, so they are never shown. Properties that the guarantees rest on are ours.
"""

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path

VARIABLE = "GREENLEDGER_KAFKA_OPTIONS"
FILE_VARIABLE = "GREENLEDGER_KAFKA_OPTIONS_FILE"

_DURABLE = "an event counts as sent only when all replicas have it, once and in order"
_COMMITTED = "a consumer's position moves only after its database has committed"
_FENCED = "transactions fence relays that are no longer leaders"
_GROUPS = "groups and where they begin follow the broker's incarnation"
_ORDER = "the events of a key keep one partition and one order"
_OURS = "the service sets it itself, so it would have no effect"
_OWN = {
    "acks": _DURABLE,
    "request.required.acks": _DURABLE,
    "enable.idempotence": _DURABLE,
    "enable.gapless.guarantee": _DURABLE,
    "max.in.flight": _DURABLE,
    "max.in.flight.requests.per.connection": _DURABLE,
    "retries": _DURABLE,
    "message.send.max.retries": _DURABLE,
    "message.timeout.ms": _DURABLE,
    "delivery.timeout.ms": _DURABLE,
    "transactional.id": _FENCED,
    "transaction.timeout.ms": _FENCED,
    "enable.auto.commit": _COMMITTED,
    "auto.commit.*": _COMMITTED,
    "enable.auto.offset.store": _COMMITTED,
    "offset.store.*": _COMMITTED,
    "isolation.level": "consumers see only what was committed",
    "auto.offset.reset": _GROUPS,
    "group.*": _GROUPS,
    "partition.assignment.strategy": _GROUPS,
    "session.timeout.ms": "GREENLEDGER_CONSUMER_SESSION_MS sets it together with the interval of heartbeats",
    "heartbeat.interval.ms": _GROUPS,
    "max.poll.interval.ms": _GROUPS,
    "enable.partition.eof": "the end of a partition is how lag is known",
    "partitioner": _ORDER,
    "queuing.strategy": _ORDER,
    "linger.ms": _OURS,
    "queue.buffering.max.ms": _OURS,
    "fetch.wait.max.ms": _OURS,
    "fetch.error.backoff.ms": _OURS,
    "queued.*": _OURS,
    "topic.metadata.refresh.interval.ms": _OURS,
    "message.max.bytes": "GREENLEDGER_KAFKA_MAX_MESSAGE_BYTES sets it together with the outbox's own limit",
    "bootstrap.servers": "GREENLEDGER_KAFKA_BOOTSTRAP sets it",
    "metadata.broker.list": "GREENLEDGER_KAFKA_BOOTSTRAP sets it",
    "debug": "it would write secrets and events to the log",
    "log_level": "what matters of librdkafka is in the service's own log",
    "plugin.library.paths": "it would load foreign code into the service",
}
"""Patterns of properties that are not for a deployment to set, with the reason."""


class BrokerOptionsError(Exception):
    """An option is malformed or not for a deployment to set; the message names it, never its value."""


class BrokerOptions(Mapping[str, str]):
    """Properties by name; how it shows has their names only.

    Args:
        options: name -> value.

    Raises:
        BrokerOptionsError: one is ours to set.

    Source: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
    """

    def __init__(self, options: Mapping[str, str] | None = None) -> None:
        self._options = dict(options or {})
        for name in self._options:
            for pattern, why in _OWN.items():
                if fnmatch.fnmatchcase(name, pattern):
                    raise BrokerOptionsError(f"{name} must not be set: {why}.")

    @classmethod
    def read(cls, text: str, file: str) -> "BrokerOptions":
        """Options from the environment.

        Args:
            text: `name=value,name=value`; a value with a comma needs the file.
            file: path of a properties file, one `name=value` a line, `#` begins a comment line; empty for
                none.

        Raises:
            BrokerOptionsError: malformed, given twice, not for a deployment to set, or an unreadable file.
        """
        entries = [(VARIABLE, entry) for entry in text.split(",")]
        if file:
            try:
                lines = Path(file).read_text().splitlines()
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "not text"
                raise BrokerOptionsError(
                    f"{FILE_VARIABLE} names {file}, which cannot be read: {why}."
                ) from None
            entries += [(FILE_VARIABLE, line) for line in lines if not line.lstrip().startswith("#")]
        options: dict[str, str] = {}
        for number, (source, entry) in enumerate(entries, 1):
            if not entry.strip():
                continue
            name, equals, value = entry.partition("=")
            name = name.strip()
            if not equals or not name:
                # Not the entry itself: it may be the rest of a password with a comma.
                raise BrokerOptionsError(f"{source}: entry {number} is not name=value.")
            if name in options:
                raise BrokerOptionsError(f"{source}: {name} is given twice.")
            options[name] = value.strip()
        return cls(options)

    def without_values(self, text: str) -> str:
        """A text of librdkafka's with every value that is in it hidden."""
        for value in sorted(filter(None, self._options.values()), key=len, reverse=True):
            text = text.replace(value, "[hidden]")
        return text

    def __getitem__(self, name: str) -> str:
        return self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)

    def __repr__(self) -> str:
        return f"BrokerOptions({', '.join(sorted(self._options))})"
