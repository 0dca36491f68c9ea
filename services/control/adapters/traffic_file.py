"""The one file that control starts with: YAML of a `TrafficFile`, checked before anything is served."""

from dataclasses import dataclass, field
from pathlib import Path

import protovalidate
import yaml
from google.protobuf import json_format

from chassis.errors import DomainError
from chassis.settings import SettingsError
from greenledger.control.v1 import traffic_pb2 as pb
from interceptors.validate import field_path
from services.control.adapters.policy_codec import edge_from_proto, policy_from_proto
from services.control.domain.policy import EdgePolicy, TrafficPolicy
from services.control.domain.policy_rules import require_sound, require_sound_edge


@dataclass(frozen=True, slots=True)
class TrafficFile:
    """What the file says: policies by service, and the limits of the edge."""

    policies: dict[str, TrafficPolicy] = field(default_factory=dict)
    edge: EdgePolicy = field(default_factory=EdgePolicy)


def read_traffic_file(path: Path | None) -> TrafficFile:
    """The file's content; defaults when there is no file.

    Versions are not compared with the registry, which knows nobody yet when control starts.

    Raises:
        SettingsError: it cannot be read, has fields that the contract does not know, or contradicts itself;
            the message says where.
    """
    if path is None:
        return TrafficFile()
    try:
        message = _parse(path.read_text())
        policies: dict[str, TrafficPolicy] = {}
        for proto in message.services:
            policy = policy_from_proto(proto)
            if not policy.service or policy.service in policies:
                raise ValueError(f"a service is named twice, or not at all: {policy.service!r}")
            require_sound(policy)
            policies[policy.service] = policy
        edge = edge_from_proto(message.edge)
        require_sound_edge(edge)
    except (OSError, ValueError, yaml.YAMLError, json_format.ParseError) as error:
        raise SettingsError(f"{path} cannot be used: {error}") from None
    except protovalidate.ValidationError as error:
        broken = "; ".join(f"{field_path(v.proto.field)} {v.proto.message}" for v in error.violations)
        raise SettingsError(f"{path} cannot be used: {broken}") from None
    except DomainError as error:
        broken = "; ".join(f"{entry.field} {entry.description}" for entry in error.violations)
        raise SettingsError(f"{path} cannot be used: {error.message}: {broken}") from None
    return TrafficFile(policies, edge)


def _parse(text: str) -> pb.TrafficFile:
    document = yaml.safe_load(text)
    if not isinstance(document, dict):
        raise ValueError("it is no mapping with `services` and `edge`")
    message = json_format.ParseDict(document, pb.TrafficFile())
    protovalidate.validate(message)
    return message
