"""The file with the policies that control starts with: the project's own, and what this fleet adds."""

from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format

from fleet.errors import FleetError
from fleet.instances import Layout, traffic_path
from fleet.services import MAIN_VERSION
from fleet.settings import AUTHENTICATED, FleetSettings, Limit
from greenledger.control.v1 import traffic_pb2


def write_traffic_file(settings: FleetSettings, layout: Layout) -> None:
    """Write `deploy/traffic.yaml` with the weights of the canaries and the limits of the settings.

    So `greenledger traffic reset` gives back what the fleet was started with.

    Raises:
        FleetError: the project's file cannot be read.
    """
    file = _read(settings.project_root / "deploy" / "traffic.yaml")
    for spec in (entry.spec for entry in layout.instances if entry.version != MAIN_VERSION):
        if spec.canary is not None:
            weights = {MAIN_VERSION: 100 - spec.canary.weight, spec.canary.version: spec.canary.weight}
            _weigh(_policy(file, spec.name), weights)
    for limit, field in (
        (settings.anonymous_limit, file.edge.anonymous),
        (settings.authenticated_limit, file.edge.authenticated),
    ):
        if limit is not None:
            field.CopyFrom(rate_limit(limit))
    _keep_order(file.edge, settings)
    content = json_format.MessageToDict(file, preserving_proto_field_name=True)
    header = "# Written at each start of the fleet from deploy/traffic.yaml; edit that one.\n"
    path = traffic_path(settings)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(header + yaml.safe_dump(content, sort_keys=False))
    draft.replace(path)


def rate_limit(limit: Limit) -> traffic_pb2.RateLimit:
    """A limit as the contract has it."""
    found = traffic_pb2.RateLimit(requests=limit.requests)
    found.per.FromTimedelta(limit.per)
    return found


def read_message(path: Path, message: Any) -> None:
    """Read a YAML or JSON file into a message of the contract.

    Raises:
        FleetError: there is no such file, or it does not fit; says where.
    """
    try:
        json_format.ParseDict(yaml.safe_load(path.read_text()) or {}, message)
    except OSError as error:
        raise FleetError(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, json_format.ParseError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise FleetError(f"{path} does not fit {message.DESCRIPTOR.full_name}: {reason}") from error


def _keep_order(edge: traffic_pb2.EdgePolicy, settings: FleetSettings) -> None:
    """Let people with a token do as much as those without: control refuses anything else.

    Only where the settings name a limit for the latter alone.
    """
    if settings.anonymous_limit is None or settings.authenticated_limit is not None:
        return
    nobody = settings.anonymous_limit
    known = Limit(edge.authenticated.requests, edge.authenticated.per.ToTimedelta())
    known = known if edge.HasField("authenticated") else AUTHENTICATED
    if known.requests and (not nobody.requests or nobody.requests * known.per > known.requests * nobody.per):
        edge.authenticated.CopyFrom(rate_limit(nobody))


def _read(path: Path) -> traffic_pb2.TrafficFile:
    file = traffic_pb2.TrafficFile()
    if path.exists():
        read_message(path, file)
    return file


def _policy(file: traffic_pb2.TrafficFile, service: str) -> traffic_pb2.TrafficPolicy:
    for policy in file.services:
        if policy.service == service:
            return policy
    return file.services.add(service=service)


def _weigh(policy: traffic_pb2.TrafficPolicy, weights: dict[str, int]) -> None:
    del policy.weights[:]
    for version, weight in weights.items():
        policy.weights.add(version=version, weight=weight)
