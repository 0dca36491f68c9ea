"""What a stream is told, and when."""

from typing import Any

import pytest
from google.protobuf.message import Message

from services.control.adapters.xds import stubs
from services.control.adapters.xds.resources import CLUSTERS, ENDPOINTS, LISTENERS, ROUTES, Resource, Snapshot
from services.control.adapters.xds.streams import ACK, ENVOY, GRPC, MOST_NAMES, NACK, Stream, TooManyNames


def cluster(name: str, mark: int = 1) -> Message:
    message: Message = stubs.Cluster(name=name, connect_timeout={"seconds": mark})
    return message


def endpoints(name: str, mark: int = 1) -> Message:
    message: Message = stubs.ClusterLoadAssignment(
        cluster_name=name, policy={"overprovisioning_factor": {"value": mark}}
    )
    return message


def routes(name: str, mark: int = 1, *to: str) -> Message:
    hosts = [stubs.VirtualHost(name="all", routes=[stubs.Route(route={"cluster": each}) for each in to])]
    message: Message = stubs.RouteConfiguration(
        name=name, max_direct_response_body_size_bytes={"value": mark}, virtual_hosts=hosts
    )
    return message


def listener(name: str, mark: int = 1) -> Message:
    message: Message = stubs.Listener(name=name, stat_prefix=str(mark))
    return message


def snapshot(*messages: Message) -> Snapshot:
    return Snapshot.of(map(Resource.of, messages))


class Peer:
    """The client's end of a stream."""

    def __init__(self, kind: str) -> None:
        self.stream = Stream(kind)
        self.last: dict[str, Any] = {}
        self.names: dict[str, list[str]] = {}

    def bring(self, url: str, *names: str) -> None:
        """Ask for resources that another process has told of before."""
        self.names[url] = list(names)
        self.stream.receive(stubs.DiscoveryRequest(type_url=url, resource_names=names, version_info="1"))

    def ask(self, url: str, *names: str) -> None:
        """Ask for resources, or for other ones than before."""
        self.names[url] = list(names)
        nonce = self.last[url].nonce if url in self.last else ""
        request = stubs.DiscoveryRequest(type_url=url, resource_names=names, response_nonce=nonce)
        self.stream.receive(request)

    def answer(self, url: str, error: str = "") -> str | None:
        """Take the last response, or refuse it."""
        last = self.last[url]
        request = stubs.DiscoveryRequest(
            type_url=url,
            resource_names=self.names[url],
            response_nonce=last.nonce,
            version_info=last.version_info,
        )
        if error:
            request.error_detail.message = error
        return self.stream.receive(request)

    def told(
        self, newest: Snapshot, *, now_s: float = 0.0, answered: bool = True, complete: bool = True
    ) -> list[tuple[str, list[str]]]:
        """Types and names of the responses that are due; by default each is taken."""
        found = []
        for response in self.stream.due(newest, now_s, complete=complete):
            url = response.type_url
            self.last[url] = response
            found.append((url, sorted(_name(each) for each in response.resources)))
        for url, _ in found if answered else ():
            assert self.answer(url) == ACK
        return found


def _name(packed: Any) -> str:
    for kind in (stubs.Cluster, stubs.ClusterLoadAssignment, stubs.RouteConfiguration, stubs.Listener):
        message = kind()
        if packed.Unpack(message):
            return str(getattr(message, "cluster_name", "") or message.name)
    raise AssertionError(packed.type_url)


def test_only_what_was_asked_for_and_is_known_is_told() -> None:
    peer = Peer(GRPC)
    newest = snapshot(listener("orders"), listener("users"))
    assert peer.told(newest) == []
    peer.ask(LISTENERS, "orders", "nobody")
    assert peer.told(newest) == [(LISTENERS, ["orders"])]
    assert peer.told(newest) == []
    assert peer.told(snapshot(listener("orders"), listener("users"), listener("nobody"))) == [
        (LISTENERS, ["nobody", "orders"])
    ]


def test_what_nobody_knows_is_not_answered() -> None:
    peer = Peer(GRPC)
    peer.ask(LISTENERS, "nobody")
    assert peer.told(snapshot(listener("orders"))) == []


def test_a_change_is_told_once_and_alone() -> None:
    peer = Peer(GRPC)
    peer.ask(ENDPOINTS, "a", "b")
    assert peer.told(snapshot(endpoints("a"), endpoints("b"))) == [(ENDPOINTS, ["a", "b"])]
    first = peer.last[ENDPOINTS].version_info
    assert peer.told(snapshot(endpoints("a", 2), endpoints("b"))) == [(ENDPOINTS, ["a"])]
    assert peer.last[ENDPOINTS].version_info != first
    assert peer.told(snapshot(endpoints("a"), endpoints("b"))) == [(ENDPOINTS, ["a"])]
    assert peer.last[ENDPOINTS].version_info == first  # the same content, the same version, on any replica


def test_other_names_are_told_of_and_names_asked_for_again_as_well() -> None:
    peer = Peer(GRPC)
    newest = snapshot(endpoints("a"), endpoints("b"))
    peer.ask(ENDPOINTS, "a")
    peer.told(newest)
    peer.ask(ENDPOINTS, "a", "b")
    assert peer.told(newest) == [(ENDPOINTS, ["b"])]
    peer.ask(ENDPOINTS, "b")
    assert peer.told(newest) == []
    peer.ask(ENDPOINTS, "a", "b")
    assert peer.told(newest) == [(ENDPOINTS, ["a"])]


def test_what_is_asked_for_by_name_is_never_taken_away() -> None:
    peer = Peer(GRPC)
    peer.ask(CLUSTERS, "orders", "orders@v2")
    peer.ask(ENDPOINTS, "orders", "orders@v2")
    full = [cluster("orders"), cluster("orders@v2"), endpoints("orders"), endpoints("orders@v2")]
    peer.told(snapshot(*full))
    assert peer.told(snapshot(full[0], full[2])) == []
    changed = snapshot(cluster("orders", 2), full[2])
    assert peer.told(changed)[0] == (CLUSTERS, ["orders", "orders@v2"])


def test_endpoints_come_again_after_a_changed_cluster_and_routes_after_a_changed_listener() -> None:
    peer = Peer(GRPC)
    for url in (CLUSTERS, ENDPOINTS, LISTENERS, ROUTES):
        peer.ask(url, "a", "b")
    same = [maker(name) for maker in (endpoints, routes) for name in "ab"]
    peer.told(snapshot(*same, cluster("a"), cluster("b"), listener("a"), listener("b")))
    assert peer.told(snapshot(*same, cluster("a", 2), cluster("b"), listener("a"), listener("b", 2))) == [
        (CLUSTERS, ["a", "b"]),
        (ENDPOINTS, ["a"]),
        (LISTENERS, ["a", "b"]),
        (ROUTES, ["b"]),
    ]


def test_a_proxy_is_answered_even_when_there_is_no_cluster() -> None:
    peer = Peer(ENVOY)
    peer.ask(CLUSTERS)
    assert peer.told(snapshot()) == [(CLUSTERS, [])]
    assert peer.told(snapshot()) == []
    assert peer.told(snapshot(cluster("a"))) == [(CLUSTERS, ["a"])]


def proxied(*messages: Message) -> Peer:
    """A proxy that has these."""
    peer = Peer(ENVOY)
    peer.ask(CLUSTERS)
    peer.ask(ROUTES, "edge")
    peer.told(snapshot(*messages))
    return peer


def test_routes_wait_until_the_clusters_that_they_name_are_warm() -> None:
    peer = proxied(cluster("a"), routes("edge"))
    newest = snapshot(cluster("a"), cluster("b"), routes("edge", 2))
    assert peer.told(newest, answered=False) == [(CLUSTERS, ["a", "b"])]
    assert peer.stream.holding
    assert peer.told(newest, now_s=1.0) == []
    assert peer.answer(CLUSTERS) == ACK
    assert peer.told(newest, now_s=1.1) == [(ROUTES, ["edge"])]
    assert not peer.stream.holding


def test_routes_do_not_wait_for_ever() -> None:
    peer = proxied(cluster("a"), routes("edge"))
    newest = snapshot(cluster("a"), cluster("b"), routes("edge", 2))
    assert peer.told(newest, answered=False) == [(CLUSTERS, ["a", "b"])]
    assert peer.told(newest, now_s=9.0) == []
    assert peer.told(newest, now_s=11.0) == [(ROUTES, ["edge"])]


def test_routes_to_a_cluster_that_was_refused_wait_until_it_is_mended_however_long() -> None:
    peer = proxied(cluster("a"), routes("edge", 1, "a", "static"))
    newest = snapshot(cluster("a"), cluster("b"), routes("edge", 2, "a", "b"))
    assert peer.told(newest, answered=False) == [(CLUSTERS, ["a", "b"])]
    assert peer.answer(CLUSTERS, "not like this") == NACK
    assert peer.told(newest, now_s=1000.0) == []
    mended = snapshot(cluster("a"), cluster("b", 2), routes("edge", 2, "a", "b"))
    assert peer.told(mended, now_s=1000.0, answered=False) == [(CLUSTERS, ["a", "b"])]
    assert peer.told(mended, now_s=1001.0) == []
    assert peer.answer(CLUSTERS) == ACK
    assert peer.told(mended, now_s=1002.0) == [(ROUTES, ["edge"])]


def test_routes_to_clusters_that_a_proxy_has_do_not_wait_for_those_that_it_refuses() -> None:
    peer = proxied(cluster("a"), cluster("b"), routes("edge", 1, "a", "static"))
    newest = snapshot(cluster("a", 2), cluster("b"), routes("edge", 2, "a", "b", "static"))
    assert peer.told(newest, answered=False) == [(CLUSTERS, ["a", "b"])]
    assert peer.answer(CLUSTERS, "not like this") == NACK
    assert peer.told(newest) == [(ROUTES, ["edge"])]


def test_a_proxy_that_brings_routes_does_not_get_others_before_their_clusters() -> None:
    peer = Peer(ENVOY)
    peer.bring(CLUSTERS)
    peer.bring(ROUTES, "edge")
    newest = snapshot(cluster("a"), routes("edge", 1, "a"))
    assert peer.told(newest, answered=False) == [(CLUSTERS, ["a"])]
    assert peer.answer(CLUSTERS, "not like this") == NACK
    assert peer.told(newest, now_s=1000.0) == []
    assert peer.told(snapshot(cluster("a", 2), routes("edge", 1, "a"))) == [(CLUSTERS, ["a"])]
    assert peer.told(snapshot(cluster("a", 2), routes("edge", 1, "a"))) == [(ROUTES, ["edge"])]


def test_the_first_routes_do_not_wait() -> None:
    peer = Peer(ENVOY)
    peer.ask(CLUSTERS)
    peer.ask(ROUTES, "edge")
    first = peer.told(snapshot(cluster("a"), routes("edge")), answered=False)
    assert first == [(CLUSTERS, ["a"]), (ROUTES, ["edge"])]


def test_clusters_go_after_the_routes_to_them() -> None:
    peer = proxied(cluster("a"), cluster("b"), routes("edge"))
    newest = snapshot(cluster("a"), routes("edge", 2))
    assert peer.told(newest, answered=False) == [(ROUTES, ["edge"])]
    assert peer.told(newest) == []
    assert peer.answer(ROUTES) == ACK
    assert peer.told(newest) == [(CLUSTERS, ["a"])]


def test_clusters_stay_as_long_as_routes_away_from_them_are_refused() -> None:
    peer = proxied(cluster("a"), cluster("b"), routes("edge"))
    newest = snapshot(cluster("a"), routes("edge", 2))
    peer.told(newest, answered=False)
    assert peer.answer(ROUTES, "no such thing") == NACK
    assert peer.told(newest) == []
    mended = snapshot(cluster("a"), routes("edge", 3))
    assert peer.told(mended) == [(ROUTES, ["edge"])]
    assert peer.told(mended) == [(CLUSTERS, ["a"])]


def test_what_was_refused_is_not_sent_again_but_the_next_is() -> None:
    peer = Peer(GRPC)
    peer.ask(ROUTES, "orders")
    peer.told(snapshot(routes("orders")), answered=False)
    assert peer.answer(ROUTES, "broken") == NACK
    assert peer.told(snapshot(routes("orders"))) == []
    assert peer.told(snapshot(routes("orders", 2))) == [(ROUTES, ["orders"])]


def test_an_answer_to_an_old_response_counts_for_nothing() -> None:
    peer = Peer(GRPC)
    peer.ask(ROUTES, "orders")
    peer.told(snapshot(routes("orders")), answered=False)
    old = peer.last[ROUTES]
    peer.told(snapshot(routes("orders", 2)), answered=False)
    new, peer.last[ROUTES] = peer.last[ROUTES], old
    assert peer.answer(ROUTES) is None
    peer.last[ROUTES] = new
    assert peer.answer(ROUTES) == ACK
    assert peer.answer(ROUTES) is None


def test_a_stream_asks_for_so_many_names_at_most() -> None:
    peer = Peer(GRPC)
    with pytest.raises(TooManyNames):
        peer.ask(ENDPOINTS, *map(str, range(MOST_NAMES + 1)))


def test_types_that_are_not_served_are_not_answered() -> None:
    peer = Peer(ENVOY)
    peer.ask("type.googleapis.com/envoy.service.runtime.v3.Runtime")
    assert peer.told(snapshot(cluster("a"))) == []


def test_what_a_client_brings_stays_until_the_resources_are_complete() -> None:
    peer = Peer(ENVOY)
    peer.bring(CLUSTERS)
    peer.bring(ENDPOINTS, "orders")
    newest = snapshot(cluster("orders"), endpoints("orders"), endpoints("users"))
    assert peer.told(newest, complete=False) == []
    # What it asks for only now it cannot have.
    peer.ask(ENDPOINTS, "orders", "users")
    assert peer.told(newest, complete=False) == [(ENDPOINTS, ["users"])]
    assert peer.told(newest) == [(CLUSTERS, ["orders"]), (ENDPOINTS, ["orders"])]


def test_a_client_that_brings_nothing_is_told_what_there_is() -> None:
    peer = Peer(ENVOY)
    peer.ask(CLUSTERS)
    assert peer.told(snapshot(cluster("orders")), complete=False) == [(CLUSTERS, ["orders"])]
