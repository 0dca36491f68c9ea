"""Which methods may be repeated follows from the contracts."""

import importlib
from collections.abc import Iterator

from google.protobuf.descriptor import MethodDescriptor

from fleet.contracts.model import Contracts
from fleet.edge.contract import edge_methods
from fleet.settings import PROJECT_ROOT
from interceptors.retry import repeatable

PEERS = ("auth", "users", "crops", "catalog", "inventory", "orders", "payments", "notifications", "trace")


def methods_of(peer: str) -> Iterator[MethodDescriptor]:
    contract = importlib.import_module(f"greenledger.{peer}.v1.{peer}_pb2")
    for service in contract.DESCRIPTOR.services_by_name.values():
        yield from service.methods


def retried(peer: str) -> set[str]:
    return {method.name for method in methods_of(peer) if repeatable(method)}


def test_reads_and_calls_with_a_kept_request_id_are_repeatable() -> None:
    assert {"GetVenue", "ListVenues", "CreateVenue"} <= retried("catalog")
    assert {"GetReservation", "ReserveStock"} <= retried("inventory")
    assert {"ValidatePayment", "RefundPayment", "GetPayment"} <= retried("payments")
    assert {"WatchOrder", "TraceOrder", "ListRecallScopeEntries"} <= retried("orders") | retried("trace")


def test_so_are_those_that_need_no_request_id() -> None:
    assert "PrepareCredentials" in retried("auth")


def test_writes_without_a_request_id_are_not() -> None:
    assert not {"Login", "RefreshToken", "SetRoles"} & retried("auth")
    assert not {"SetCartItem", "ClearCart"} & retried("orders")


def test_the_edge_decides_by_the_same_options_read_from_its_own_copy_of_the_contracts() -> None:
    copy = Contracts((PROJECT_ROOT / "gen" / "greenledger.binpb").read_bytes())
    known = {method.full_name: repeatable(method) for peer in PEERS for method in methods_of(peer)}
    found = {method.full_name: repeatable(method) for method in copy.methods()}
    assert {name: found[name] for name in known} == known
    at_the_edge = {f"{each.service}.{each.name}": each.repeatable for each in edge_methods(copy)}
    assert at_the_edge == {name: found[name] for name in at_the_edge}
