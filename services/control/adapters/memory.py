"""What a replica knows as one JSON document, and as a file on its disk.

The document is made of the contract's own messages, so that it is read by later versions as their clients'
messages are: what they do not know is passed over.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from google.protobuf import json_format

from greenledger.control.v1 import control_pb2, traffic_pb2
from services.control.adapters.codec import instance_from_proto, instance_to_proto
from services.control.adapters.policy_codec import (
    edge_from_proto,
    edge_to_proto,
    policy_from_proto,
    policy_to_proto,
)
from services.control.application.ports import Memory
from services.control.domain.instances import Instance
from services.control.domain.policy import EdgePolicy, TrafficPolicy
from services.control.domain.registration import EDGE
from services.control.domain.versioned import Versioned

FORMAT = 1
_log = structlog.get_logger(__name__)


class SnapshotFile:
    """Implements `Memories` with a file, which is replaced in one step."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> Memory | None:
        return await asyncio.to_thread(self._load)

    async def save(self, memory: Memory) -> None:
        await asyncio.to_thread(self._save, memory)

    def _load(self) -> Memory | None:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return None
        return memory_from_json(text)

    def _save(self, memory: Memory) -> None:
        text = memory_to_json(memory)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with draft.open("w") as file:
            file.write(text)
            file.flush()
            # Otherwise the rename may reach the disk before the text does.
            os.fsync(file.fileno())
        draft.replace(self._path)


def memory_to_json(memory: Memory) -> str:
    """The document."""
    return json.dumps(
        {
            "format": FORMAT,
            "saved_at": memory.saved_at.isoformat(),
            "instances": [_instance(entry) for entry in memory.instances],
            "listed": {
                service: [_instance(entry) for entry in some] for service, some in memory.listed.items()
            },
            "policies": {
                name: versioned_to_json(stored, policy_json) for name, stored in memory.policies.items()
            },
            "edge": versioned_to_json(memory.edge, edge_json),
            "config": {name: versioned_to_json(stored, str) for name, stored in memory.config.items()},
        }
    )


def memory_from_json(text: str) -> Memory | None:
    """What a document says; None, with a line in the log, when it cannot be read."""
    try:
        return _memory(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, json_format.ParseError) as error:
        _log.warning("control.memory_unreadable", error=f"{type(error).__name__}: {error}")
        return None


def policy_json(policy: TrafficPolicy) -> Any:
    """A policy as JSON values."""
    return json_format.MessageToDict(policy_to_proto(policy))


def policy_of_json(service: str, value: Any) -> TrafficPolicy:
    """A policy from JSON values."""
    proto = json_format.ParseDict(value, traffic_pb2.TrafficPolicy(), ignore_unknown_fields=True)
    return policy_from_proto(proto, service)


def edge_json(policy: EdgePolicy) -> Any:
    """Limits of the edge as JSON values."""
    return json_format.MessageToDict(edge_to_proto(policy))


def edge_of_json(_name: str, value: Any) -> EdgePolicy:
    """Limits of the edge from JSON values."""
    return edge_from_proto(json_format.ParseDict(value, traffic_pb2.EdgePolicy(), ignore_unknown_fields=True))


def versioned_to_json(stored: Versioned[Any], encode: Any) -> Mapping[str, Any]:
    """A value and how it came, as JSON values."""
    return {
        "value": None if stored.value is None else encode(stored.value),
        "version": stored.version,
        "updated_at": stored.updated_at.isoformat() if stored.updated_at else None,
        "updated_by": stored.updated_by,
        "why": stored.why,
    }


def _memory(document: Any) -> Memory:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r} is not one that this version knows")
    return Memory(
        saved_at=datetime.fromisoformat(document["saved_at"]),
        instances=tuple(map(_instance_of, document["instances"])),
        listed={service: tuple(map(_instance_of, some)) for service, some in document["listed"].items()},
        policies={
            name: _versioned(stored, name, policy_of_json) for name, stored in document["policies"].items()
        },
        edge=_versioned(document["edge"], EDGE, edge_of_json),
        config={
            name: _versioned(stored, name, lambda _, value: str(value))
            for name, stored in document["config"].items()
        },
    )


def _versioned(document: Any, name: str, decode: Any) -> Versioned[Any]:
    at = document["updated_at"]
    return Versioned(
        None if document["value"] is None else decode(name, document["value"]),
        int(document["version"]),
        datetime.fromisoformat(at) if at else None,
        document["updated_by"],
        document["why"],
    )


def _instance(instance: Instance) -> Mapping[str, Any]:
    message = json_format.MessageToDict(instance_to_proto(instance))
    return {"lease_s": instance.lease.total_seconds(), "instance": message}


def _instance_of(document: Any) -> Instance:
    proto = json_format.ParseDict(document["instance"], control_pb2.Instance(), ignore_unknown_fields=True)
    return instance_from_proto(proto, timedelta(seconds=document["lease_s"]))
