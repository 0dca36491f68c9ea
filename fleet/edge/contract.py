"""The contract as the edge needs it: methods with their bindings, access and cluster."""

from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor, MethodDescriptor

from fleet.contracts.model import Access, Binding, Contracts
from interceptors.retry import repeatable

# Served by every service for its operator, on the service's own port; never from outside.
_NOT_AT_THE_EDGE = frozenset({"operations"})
# Sent as it is, under a content type of its own.
_FILE = "google.api.HttpBody"


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC that the edge serves.

    Args:
        cluster: bounded context that serves it, second part of the package's name.
        service: full name of its service.
        name: its own name.
        request: its request message.
        bindings: its HTTP rules; none means gRPC only.
        access: who may call it.
        streaming: whether it streams in either direction.
        lines: whether its JSON form is a stream of objects, one a line.
        repeatable: whether a second attempt has no second effect; the services' own clients ask the same.
    """

    cluster: str
    service: str
    name: str
    request: Descriptor
    bindings: tuple[Binding, ...]
    access: Access
    streaming: bool
    lines: bool
    repeatable: bool

    @property
    def path(self) -> str:
        """`:path` of the gRPC call."""
        return f"/{self.service}/{self.name}"

    @property
    def public(self) -> bool:
        """Whether it may be called without a token."""
        return self.access.kind == "public"


def binding_key(method: Method, binding: Binding) -> str:
    """A name for one HTTP rule of one method."""
    return f"{binding.verb} {binding.path} {method.path}"


def edge_methods(contracts: Contracts) -> list[Method]:
    """Every method that is served at the edge, in the contract's order."""
    return list(_methods(contracts))


def _methods(contracts: Contracts) -> Iterator[Method]:
    for method in contracts.methods():
        cluster = _context(method)
        access = contracts.access(method)
        # A method without a policy is refused by its server; the edge does not know it at all.
        if access is None or cluster in _NOT_AT_THE_EDGE:
            continue
        yield Method(
            cluster=cluster,
            service=method.containing_service.full_name,
            name=method.name,
            request=method.input_type,
            bindings=tuple(contracts.bindings(method)),
            access=access,
            streaming=method.client_streaming or method.server_streaming,
            lines=method.server_streaming and method.output_type.full_name != _FILE,
            repeatable=repeatable(method),
        )


def _context(method: MethodDescriptor) -> str:
    return str(method.containing_service.full_name).split(".")[1]
