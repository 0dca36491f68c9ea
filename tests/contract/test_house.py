"""The rules of the house that the import linter cannot see."""

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis import errors
from fleet.services import SERVICES
from greenledger.common.v1 import errors_pb2

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "main.py").exists())
PURE = {"chassis.errors", "chassis.money", "chassis.quantity"}
ROOMS = {"domain", "application", "adapters", "migrations"}
FILES = {"__init__.py", "main.py", "wiring.py", "README.md"}
IMPURE_CALLS = {"now", "utcnow", "today", "getenv", "uuid4", "uuid7", "urandom", "open"}


def python_files(*parts: str) -> list[Path]:
    return sorted(ROOT.joinpath(*parts).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("service", NAMES)
def test_a_domain_imports_the_standard_library_and_values_of_the_chassis_only(service: str) -> None:
    for path in python_files("services", service, "domain"):
        for module in imports(path):
            own = module.startswith(f"services.{service}.domain")
            assert own or module in PURE or module.split(".")[0] in sys.stdlib_module_names, (path, module)


@pytest.mark.parametrize("service", NAMES)
def test_every_service_has_the_same_rooms(service: str) -> None:
    found = {p.name for p in (ROOT / "services" / service).iterdir() if p.name != "__pycache__"}
    assert found == ROOMS | FILES


def test_linter_and_fleet_know_every_service() -> None:
    linter = configparser.ConfigParser()
    linter.read(ROOT / ".importlinter")
    for section in ("independent-services", "rooms", "pure-domain"):
        contract = linter[f"importlinter:contract:{section}"]
        listed = next(contract[key] for key in ("modules", "containers", "source_modules") if key in contract)
        assert sorted(re.findall(r"services\.(\w+)", listed)) == NAMES, section
    assert sorted(spec.name for spec in SERVICES) == NAMES


def test_application_knows_neither_protobuf_nor_sql_nor_kafka() -> None:
    outside = {"grpc", "google", "greenledger", "asyncpg", "sqlalchemy", "confluent_kafka"}
    for service in NAMES:
        for path in python_files("services", service, "application"):
            assert not {module.split(".")[0] for module in imports(path)} & outside, path


def test_nothing_is_read_or_asked_at_import() -> None:
    for package in ("chassis", "interceptors", "services"):
        for path in python_files(package):
            for statement in ast.parse(path.read_text()).body:
                if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.If):
                    continue
                called = {
                    node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    for node in ast.walk(statement)
                    if isinstance(node, ast.Call)
                }
                assert not called & IMPURE_CALLS, (path, called & IMPURE_CALLS)


def reasons_of(package: str) -> set[str]:
    contract = (ROOT / "proto" / "greenledger" / package / "v1").glob("*.proto")
    found = {name for path in contract for name in re.findall(r"ERROR_REASON_(\w+) = ", path.read_text())}
    return found | {
        name.removeprefix("ERROR_REASON_")
        for name in errors_pb2.ErrorReason.keys()  # noqa: SIM118
    }


def raised_reasons(path: Path) -> Iterator[str]:
    kinds = {kind.__name__ for kind in errors.KINDS}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if name in kinds and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


@pytest.mark.parametrize("service", NAMES)
def test_every_reason_that_a_service_gives_is_in_its_contract(service: str) -> None:
    known = reasons_of(service)
    for path in python_files("services", service):
        for reason in raised_reasons(path):
            assert reason in known, (path, reason)


def test_every_reason_that_a_mechanism_gives_is_in_a_common_contract() -> None:
    known = reasons_of("operations")
    for package in ("chassis", "interceptors"):
        for path in python_files(package):
            for reason in raised_reasons(path):
                assert reason in known, (path, reason)
