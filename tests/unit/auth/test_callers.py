"""What the services' own clients call, against the table of service scopes and the contracts' callers."""

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from chassis.members import OPERATOR
from greenledger.options.v1 import options_pb2
from services.auth.domain.roles import SERVICE_SCOPES

SERVICES = Path(__file__).parents[3] / "services"
CLIENTS = sorted(SERVICES.glob("*/adapters/*clients.py"))
CALLERS = sorted({path.parts[-3] for path in CLIENTS})


FOR_OPERATORS = "greenledger.operations."
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


def test_a_method_lets_in_the_services_whose_clients_call_it_and_no_others() -> None:
    facts: dict[str, set[str]] = defaultdict(set)
    for clients in CLIENTS:
        for method in _called(ast.parse(clients.read_text())):
            if not _policy(method).public:
                facts[method.full_name].add(clients.parts[-3])
    services = [method for method in _methods() if not method.full_name.startswith(FOR_OPERATORS)]
    declared = {method.full_name: set(_policy(method).callers) for method in services}
    assert {name: callers for name, callers in declared.items() if callers} == facts


def test_what_every_service_serves_to_operators_is_called_by_no_service() -> None:
    methods = [method for method in _methods() if method.full_name.startswith(FOR_OPERATORS)]
    assert methods
    assert {tuple(_policy(method).callers) for method in methods} == {(OPERATOR,)}


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


def _methods() -> Iterator[MethodDescriptor]:
    """Every method of every contract."""
    package = Path(options_pb2.__file__).parents[2]
    for path in sorted(package.glob("*/v1/*_pb2.py")):
        module = importlib.import_module(f"greenledger.{path.parts[-3]}.v1.{path.stem}")
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


def _policy(method: MethodDescriptor) -> options_pb2.MethodPolicy:
    policy: options_pb2.MethodPolicy = method.GetOptions().Extensions[options_pb2.policy]
    return policy
