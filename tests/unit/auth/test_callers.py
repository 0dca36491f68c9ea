"""The table of service scopes against what the services' own clients call."""

import ast
import importlib
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from greenledger.options.v1 import options_pb2
from services.auth.domain.roles import SERVICE_SCOPES

SERVICES = Path(__file__).parents[3] / "services"
CLIENTS = sorted(SERVICES.glob("*/adapters/*clients.py"))
CALLERS = sorted({path.parts[-3] for path in CLIENTS})


CHECKED_INSIDE = {"greenledger.users.v1.UserService.GetUser": "users.read"}
"""Methods that any caller may call for themselves, and the permission to call them for others."""


@pytest.mark.parametrize("service", CALLERS)
def test_a_service_has_the_permissions_that_its_clients_use_and_no_others(service: str) -> None:
    called = []
    for clients in SERVICES.glob(f"{service}/adapters/*clients.py"):
        found = _called(ast.parse(clients.read_text()))
        assert found, f"no call was found in {clients}"
        called += found
    used = {CHECKED_INSIDE.get(method.full_name) or _policy(method).permission for method in called} - {""}
    assert SERVICE_SCOPES.get(service, frozenset()) == used


def test_a_service_that_calls_nobody_has_no_permission() -> None:
    assert set(SERVICE_SCOPES) <= set(CALLERS)


def _called(module: ast.Module) -> list[MethodDescriptor]:
    """Methods of the contracts that a class with a `..._pb2_grpc.<Service>Stub` calls."""
    found = []
    for owner in (node for node in module.body if isinstance(node, ast.ClassDef)):
        attributes = [node for node in ast.walk(owner) if isinstance(node, ast.Attribute)]
        names = {node.attr for node in attributes}
        for stub in (node for node in attributes if node.attr.endswith("ServiceStub")):
            assert isinstance(stub.value, ast.Name)
            context = stub.value.id.removesuffix("_pb2_grpc")
            contract = importlib.import_module(f"greenledger.{context}.v1.{context}_pb2")
            methods = contract.DESCRIPTOR.services_by_name[stub.attr.removesuffix("Stub")].methods
            found += [method for method in methods if method.name in names]
    return found


def _policy(method: MethodDescriptor) -> options_pb2.MethodPolicy:
    policy: options_pb2.MethodPolicy = method.GetOptions().Extensions[options_pb2.policy]
    return policy
