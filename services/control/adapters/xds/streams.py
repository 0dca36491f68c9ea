"""What one stream of aggregated discovery has been told, and what it is to be told next (state of the world).

Pure: requests go in, responses come out; the server moves them.

Source: xDS protocol, "Aggregated discovery service" and "Eventual consistency considerations".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.control.adapters.xds import stubs
from services.control.adapters.xds.resources import (
    CLUSTERS,
    ENDPOINTS,
    FILTERS,
    LISTENERS,
    ROUTES,
    SECRETS,
    Resource,
    Snapshot,
    version_of,
)

ENVOY = "envoy"
GRPC = "grpc"
ACK = "ack"
NACK = "nack"

MOST_NAMES = 1000
"""Resources that one stream may ask for by name, of one type."""

# What names others comes after them: clusters, their endpoints and certificates, then routes to them. Limits
# are there before the first route is.
_ORDER = (CLUSTERS, SECRETS, ENDPOINTS, FILTERS, LISTENERS, ROUTES)
# Of these a response holds everything: what is missing in it is gone.
_WHOLE = frozenset({CLUSTERS, LISTENERS})
# A client that takes a changed one anew waits for these again, whether they have changed or not.
_AFTER = {CLUSTERS: ENDPOINTS, LISTENERS: ROUTES}
# Routes wait for clusters to be warm no longer than this.
_LONGEST_HOLD_S = 10.0


class TooManyNames(Exception):
    """A stream asks for more resources than any client of ours needs."""


@dataclass
class Subscription:
    """One type on one stream.

    Args:
        everything: whether it is asked for without names.
        names: those asked for.
        sent: what the client was sent last, by name.
        again: names to be sent whether they have changed or not.
        nonce: of the last response; "" before the first.
        pending: whether that was neither taken nor refused yet.
        refused: whether it was refused.
        brought: names that the client had from another process when it came, None for all.
        taken: names of the last response that was not refused.
    """

    everything: bool
    names: frozenset[str] = frozenset()
    sent: dict[str, Resource] = field(default_factory=dict)
    again: set[str] = field(default_factory=set)
    nonce: str = ""
    pending: bool = False
    refused: bool = False
    brought: frozenset[str] | None = frozenset()
    taken: frozenset[str] = frozenset()

    def ask(self, names: Iterable[str]) -> None:
        """Take the names of a request."""
        asked = frozenset(names)
        if len(asked) > MOST_NAMES:
            raise TooManyNames
        if "*" in asked:
            self.everything = True
        elif asked:
            self.everything = False
        self.names = asked - {"*"}
        if not self.everything:
            # Asked for again later, it is sent again.
            self.sent = {name: self.sent[name] for name in self.sent.keys() & self.names}

    def wanted(self, known: Mapping[str, Resource], *, keep: bool) -> dict[str, Resource]:
        """What the client is to have: never without what it has and still asks for by name.

        Args:
            keep: whether also what it has and nobody names stays.
        """
        if self.everything:
            return {**self.sent, **known} if keep else dict(known)
        return {name: found for name in self.names if (found := known.get(name) or self.sent.get(name))}

    def unknown(self, wanted: Mapping[str, Resource]) -> dict[str, Resource]:
        """What the client cannot have from another process."""
        brought = wanted.keys() if self.brought is None else self.brought
        return {name: resource for name, resource in wanted.items() if name not in brought}

    def changed(self, wanted: Mapping[str, Resource]) -> set[str]:
        """Names of those that the client does not have like this."""
        return {
            name
            for name, resource in wanted.items()
            if name not in self.sent or self.sent[name].digest != resource.digest
        }


class Stream:
    """One client's stream.

    Args:
        kind: of client.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._subscriptions: dict[str, Subscription] = {}
        self._responses = 0
        self._held_since: float | None = None

    @property
    def holding(self) -> bool:
        """Whether routes wait for clusters: ask again after a while."""
        return self._held_since is not None

    def receive(self, request: Any) -> str | None:
        """Take a request; says whether it is an ACK, a NACK or neither.

        Raises:
            TooManyNames: it names more than MOST_NAMES.
        """
        subscription = self._subscriptions.get(request.type_url)
        if subscription is None:
            if request.type_url not in _ORDER:
                return None
            subscription = Subscription(everything=not request.resource_names)
            if request.version_info:
                everything = subscription.everything or "*" in request.resource_names
                subscription.brought = None if everything else frozenset(request.resource_names)
            self._subscriptions[request.type_url] = subscription
        if request.response_nonce and request.response_nonce != subscription.nonce:
            # About a response before the last; what the client wants now it says when it answers the last.
            return None
        subscription.ask(request.resource_names)
        if not request.response_nonce or not subscription.pending:
            return None
        subscription.pending = False
        subscription.refused = request.HasField("error_detail")
        if subscription.refused:
            return NACK
        subscription.taken = frozenset(subscription.sent)
        return ACK

    def due(self, snapshot: Snapshot, now_s: float, *, complete: bool = True) -> Iterator[Any]:
        """Responses that are to be sent now, in their order.

        Args:
            snapshot: the newest resources for this kind of client.
            now_s: monotonic seconds.
            complete: whether what they lack is gone; otherwise a client keeps what it had when it came.
        """
        for url in _ORDER:
            if (subscription := self._subscriptions.get(url)) is None:
                continue
            keep = url == CLUSTERS and self._in_use(snapshot)
            wanted = subscription.wanted(snapshot.of_type(url), keep=keep)
            if not complete:
                if subscription.brought is None:
                    continue
                wanted = subscription.unknown(wanted)
            if url == ROUTES and self._hold(subscription, wanted, now_s):
                continue
            if (response := self._response(url, subscription, wanted)) is not None:
                yield response

    def _response(self, url: str, subscription: Subscription, wanted: dict[str, Resource]) -> Any:
        changed = subscription.changed(wanted)
        if url in _WHOLE:
            gone = subscription.sent.keys() - wanted.keys()
            first = subscription.everything and not subscription.nonce
            resources = wanted if changed or gone or first else {}
            send = bool(resources) or bool(gone) or first
        else:
            again = subscription.again & wanted.keys()
            resources = {name: wanted[name] for name in changed | again}
            send = bool(resources)
        if not send:
            return None
        subscription.sent = wanted
        subscription.again.clear()
        subscription.pending, subscription.refused = True, False
        if follower := self._subscriptions.get(_AFTER.get(url, "")):
            follower.again |= changed
        self._responses += 1
        subscription.nonce = str(self._responses)
        return stubs.DiscoveryResponse(
            version_info=version_of(wanted.values()),
            type_url=url,
            nonce=subscription.nonce,
            resources=[resource.packed for resource in resources.values()],
        )

    def _hold(self, routes: Subscription, wanted: dict[str, Resource], now_s: float) -> bool:
        """Whether changed routes wait: Envoy acknowledges clusters when they are warm, and not before.

        As long as it refuses clusters, routes to those that it has not taken wait without a limit: calls by
        them would fail. A proxy that has no routes at all does not wait for any.
        """
        clusters = self._subscriptions.get(CLUSTERS)
        since, self._held_since = self._held_since, None
        has_some = bool(routes.nonce) or routes.brought != frozenset()
        if self.kind != ENVOY or clusters is None or not has_some or not routes.changed(wanted):
            return False
        if clusters.refused:
            return not _clusters_of(wanted) <= clusters.taken | _clusters_of(routes.sent)
        if not clusters.pending:
            return False
        self._held_since = now_s if since is None else since
        return now_s - self._held_since < _LONGEST_HOLD_S

    def _in_use(self, snapshot: Snapshot) -> bool:
        """Whether the client may still have routes to clusters that are to go."""
        routes = self._subscriptions.get(ROUTES)
        if routes is None:
            return False
        wanted = routes.wanted(snapshot.of_type(ROUTES), keep=False)
        return routes.pending or routes.refused or bool(routes.changed(wanted))


def _clusters_of(routes: Mapping[str, Resource]) -> frozenset[str]:
    """Names of the clusters that routes lead to."""
    tables = (stubs.RouteConfiguration.FromString(resource.packed.value) for resource in routes.values())
    actions = [route.route for table in tables for host in table.virtual_hosts for route in host.routes]
    weighted = (each.name for action in actions for each in action.weighted_clusters.clusters)
    return frozenset({*weighted, *(action.cluster for action in actions if action.cluster)})
