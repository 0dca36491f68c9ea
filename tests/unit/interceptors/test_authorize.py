"""People and services before every method of the contracts: who passes, and why the others do not."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from chassis.context import Principal
from chassis.errors import PermissionDenied
from fleet.services import SERVICES
from greenledger.options.v1 import options_pb2
from interceptors.authorize import Authorize
from interceptors.call import Call, Method, declared_policy
from services.auth.domain.roles import PERMISSIONS, scopes_of


def _methods() -> dict[str, Method]:
    found = {}
    for path in sorted(Path(options_pb2.__file__).parents[2].glob("*/v1/*_pb2.py")):
        module = importlib.import_module(f"greenledger.{path.parts[-3]}.v1.{path.stem}")
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                name = f"/{service.full_name}/{method.name}"
                found[name] = Method(name, policy=declared_policy(name))
    return found


METHODS = _methods()
FOR_PERSONS = [name for name, method in METHODS.items() if method.for_persons and not method.public]
BETWEEN_SERVICES = [name for name, method in METHODS.items() if not (method.for_persons or method.public)]
NAMES = [spec.name for spec in SERVICES]


def callers(name: str) -> frozenset[str]:
    policy = METHODS[name].policy
    return frozenset(policy.callers) if policy is not None else frozenset()


async def asked(name: str, principal: Principal) -> str:
    """OK, or the reason of the refusal."""
    call = Call(METHODS[name], None, {})  # type: ignore[arg-type]  # authorization looks at the principal only
    call.principal = principal

    async def proceed(_request: Any, _call: Call) -> str:
        return "OK"

    try:
        return str(await Authorize().around(METHODS[name], proceed)(None, call))
    except PermissionDenied as error:
        return error.reason


def test_the_contracts_have_methods_of_either_kind() -> None:
    assert len(FOR_PERSONS) > 80
    assert len(BETWEEN_SERVICES) > 20


@pytest.mark.parametrize("name", FOR_PERSONS)
async def test_a_method_for_people_refuses_services_that_it_does_not_name_whatever_they_may(
    name: str,
) -> None:
    for service in sorted({*NAMES, "tester"} - callers(name)):
        assert await asked(name, Principal(service, "service", permissions=PERMISSIONS)) == "PERSON_REQUIRED"


@pytest.mark.parametrize("name", FOR_PERSONS)
async def test_a_method_for_people_lets_a_person_through_who_may(name: str) -> None:
    assert await asked(name, Principal("a person", "user", permissions=PERMISSIONS)) == "OK"


@pytest.mark.parametrize("name", [name for name in METHODS if callers(name) & set(NAMES)])
async def test_a_service_that_the_contract_names_gets_through_with_its_own_account(name: str) -> None:
    for service in callers(name):
        assert await asked(name, Principal(service, "service", permissions=scopes_of(service))) == "OK"


@pytest.mark.parametrize("name", BETWEEN_SERVICES)
async def test_without_an_http_binding_the_permission_alone_decides(name: str) -> None:
    assert await asked(name, Principal("tester", "service", permissions=PERMISSIONS)) == "OK"
