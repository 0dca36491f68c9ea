"""Resources as they are sent: serialized once, compared by what they hold."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from services.control.adapters.xds import stubs


def type_url(message: type[Message]) -> str:
    """The name of a kind of message in an Any."""
    return f"type.googleapis.com/{message.DESCRIPTOR.full_name}"


CLUSTERS = type_url(stubs.Cluster)
ENDPOINTS = type_url(stubs.ClusterLoadAssignment)
LISTENERS = type_url(stubs.Listener)
ROUTES = type_url(stubs.RouteConfiguration)
SECRETS = type_url(stubs.Secret)
FILTERS = type_url(stubs.TypedExtensionConfig)


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource, shared by every stream that it is sent to.

    Args:
        name: by which clients ask for it.
        packed: the message.
        digest: of its content; equal means equal.
    """

    name: str
    packed: Any
    digest: bytes

    @classmethod
    def of(cls, message: Message) -> Self:
        """Pack a cluster, an assignment of endpoints, a listener, routes, a secret or a filter's settings."""
        packed = Any(type_url=type_url(type(message)), value=message.SerializeToString(deterministic=True))
        name = getattr(message, "cluster_name", None) or getattr(message, "name", "")
        return cls(str(name), packed, hashlib.blake2b(packed.value, digest_size=16).digest())

    @property
    def type_url(self) -> str:
        """Its kind."""
        return str(self.packed.type_url)


def version_of(resources: Iterable[Resource]) -> str:
    """A version that is the same wherever the same resources are served."""
    content = hashlib.blake2b(digest_size=12)
    for resource in sorted(resources, key=lambda each: each.name):
        content.update(resource.name.encode() + b"\0" + resource.digest)
    return content.hexdigest()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All resources for one kind of client at one moment.

    Args:
        by_type: resources by name, by type URL.
    """

    by_type: Mapping[str, Mapping[str, Resource]]

    @classmethod
    def of(cls, resources: Iterable[Resource]) -> Self:
        """Sort resources by type and name."""
        by_type: dict[str, dict[str, Resource]] = {}
        for resource in resources:
            by_type.setdefault(resource.type_url, {})[resource.name] = resource
        return cls(by_type)

    def of_type(self, url: str) -> Mapping[str, Resource]:
        """The resources of one type, by name."""
        return self.by_type.get(url, {})
