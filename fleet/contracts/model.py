"""A compiled contract, read for those who render it: comments, options, bindings, policies, topics."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    EnumValueDescriptor,
    FieldDescriptor,
    FileDescriptor,
    MethodDescriptor,
    OneofDescriptor,
    ServiceDescriptor,
)

AnyDescriptor = (
    Descriptor
    | EnumDescriptor
    | EnumValueDescriptor
    | FieldDescriptor
    | MethodDescriptor
    | OneofDescriptor
    | ServiceDescriptor
)
OURS = "greenledger."
_HTTP_VERBS = ("get", "put", "post", "delete", "patch")


class ContractError(Exception):
    """The protos compile but say something that cannot be rendered; the message names the element."""


@dataclass(frozen=True)
class Binding:
    """One HTTP rule of a method (google.api.http).

    `verb` is in lower case, `path` the template, `body` the field that the body fills ("*" all, "" none).
    """

    verb: str
    path: str
    body: str


@dataclass(frozen=True)
class Access:
    """Who may call a method and from which members of the fleet, how a repeated request_id is treated ("",
    "STORED" or "OWN"), and whether the answer says only that the work was accepted."""

    kind: str  # "public", "authenticated" or "permission"
    permission: str
    idempotency: str
    accepted: bool
    callers: tuple[str, ...] = ()  # members of the fleet, none for all


class Contracts:
    """All packages of an image; `image` is a serialized FileDescriptorSet with source info."""

    def __init__(self, image: bytes) -> None:
        self.pool = descriptor_pool.DescriptorPool()
        self._comments: dict[str, str] = {}
        names = []
        for file in descriptor_pb2.FileDescriptorSet.FromString(image).file:
            self.pool.Add(file)
            names.append(file.name)
            self._comments.update(_comments_of(file))
        self.files: list[FileDescriptor] = [self.pool.FindFileByName(name) for name in sorted(names)]

    def packages(self) -> list[str]:
        """Our packages, sorted."""
        return sorted({file.package for file in self.files if file.package.startswith(OURS)})

    def services(self, package: str) -> list[ServiceDescriptor]:
        """The services of a package in the order of its files."""
        return [service for file in self._of(package) for service in file.services_by_name.values()]

    def messages(self, package: str) -> list[Descriptor]:
        """The top-level messages of a package in the order of its files."""
        return [message for file in self._of(package) for message in file.message_types_by_name.values()]

    def enums(self, package: str) -> list[EnumDescriptor]:
        """The top-level enums of a package in the order of its files."""
        return [enum for file in self._of(package) for enum in file.enum_types_by_name.values()]

    def methods(self) -> Iterator[MethodDescriptor]:
        """Every method of ours."""
        for package in self.packages():
            for service in self.services(package):
                yield from service.methods

    def events(self) -> Iterator[tuple[str, Descriptor]]:
        """Every event message of ours with its topic."""
        for package in self.packages():
            for message in self.messages(package):
                topic = self.topic(message)
                if topic:
                    yield topic, message

    def comment(self, element: AnyDescriptor) -> str:
        """The comment in front of an element (or behind it on its line), without the slashes."""
        return self._comments.get(_key(element), "")

    def package_comment(self, package: str) -> str:
        """The comment on the package statement."""
        found = (self._comments.get(f"package {file.name}", "") for file in self._of(package))
        return "\n".join(text for text in found if text)

    def option(self, element: Any, name: str) -> Any:
        """The value of a custom option by the extension's full name, None if it is not set."""
        raw = element.GetOptions()
        # The element's own options class knows the extensions of the interpreter's default pool only.
        kind = message_factory.GetMessageClass(self.pool.FindMessageTypeByName(raw.DESCRIPTOR.full_name))
        options = kind.FromString(raw.SerializeToString())
        extension: Any = self.pool.FindExtensionByName(name)
        if extension.is_repeated:
            return list(options.Extensions[extension])
        return options.Extensions[extension] if options.HasExtension(extension) else None

    def bindings(self, method: MethodDescriptor) -> list[Binding]:
        """The method's HTTP rules, the main one first; none if the method is internal."""
        rule = self.option(method, "google.api.http")
        if rule is None:
            return []
        found = []
        for part in (rule, *rule.additional_bindings):
            verb = part.WhichOneof("pattern")
            if verb not in _HTTP_VERBS:
                raise ContractError(f"{method.full_name}: HTTP verb {verb!r} is not supported")
            found.append(Binding(verb, getattr(part, verb), part.body))
        return found

    def access(self, method: MethodDescriptor) -> Access | None:
        """The method's policy; None if it has none, in which case every server refuses it."""
        policy = self.option(method, "greenledger.options.v1.policy")
        kind = policy.WhichOneof("access") if policy is not None else None
        if kind is None:
            return None
        number = policy.idempotency
        name = policy.DESCRIPTOR.fields_by_name["idempotency"].enum_type.values_by_number[number].name
        idempotency = name.removeprefix("IDEMPOTENCY_") if number else ""
        return Access(kind, policy.permission, idempotency, policy.accepted, tuple(policy.callers))

    def topic(self, message: Descriptor) -> str:
        """The topic on which the message is an event, "" if it is none."""
        return self.option(message, "greenledger.options.v1.topic") or ""

    def rules(self, field: FieldDescriptor) -> Any:
        """The field's buf.validate.FieldRules, None if it has none or they are switched off."""
        rules = self.option(field, "buf.validate.field")
        return None if rules is None or rules.ignore == _IGNORE_ALWAYS else rules

    def behaviors(self, field: FieldDescriptor) -> set[str]:
        """The field's google.api.field_behavior names, e.g. {"REQUIRED"}."""
        numbers = self.option(field, "google.api.field_behavior")
        names = self.pool.FindEnumTypeByName("google.api.FieldBehavior").values_by_number
        return {names[number].name for number in numbers}

    def new(self, message: Descriptor) -> Any:
        """An empty instance of a message type."""
        return message_factory.GetMessageClass(message)()

    def _of(self, package: str) -> list[FileDescriptor]:
        return [file for file in self.files if file.package == package]


_IGNORE_ALWAYS = 3  # buf.validate.Ignore.IGNORE_ALWAYS


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map<K, V>."""
    kind = field.message_type
    return kind is not None and field.is_repeated and kind.GetOptions().map_entry


def map_entry(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """The key and the value of a map field."""
    entry = field.message_type
    assert entry is not None
    return entry.fields_by_name["key"], entry.fields_by_name["value"]


def package_of(element: MethodDescriptor | Descriptor | EnumDescriptor) -> str:
    """The package in which a method or type is declared."""
    owner = element.containing_service if isinstance(element, MethodDescriptor) else element
    return str(owner.file.package)


def real_oneofs(message: Descriptor) -> list[OneofDescriptor]:
    """The oneofs that were written as such, without those that `optional` makes."""
    return [
        one for one in message.oneofs if not (len(one.fields) == 1 and one.name == f"_{one.fields[0].name}")
    ]


def _key(element: AnyDescriptor) -> str:
    if isinstance(element, EnumValueDescriptor):
        return f"{element.type.full_name}.{element.name}"
    return str(element.full_name)


def _comments_of(file: descriptor_pb2.FileDescriptorProto) -> dict[str, str]:
    names = dict(_paths_of(file))
    comments = {}
    for location in file.source_code_info.location:
        text = location.leading_comments or location.trailing_comments
        name = names.get(tuple(location.path))
        if name is not None and text.strip():
            comments[name] = "\n".join(line.strip() for line in text.strip().splitlines())
    return comments


def _paths_of(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    # The numbers are the field numbers of descriptor.proto (SourceCodeInfo.Location.path).
    yield (2,), f"package {file.name}"
    for number, message in enumerate(file.message_type):
        yield from _message_paths(message, (4, number), file.package)
    for number, enum in enumerate(file.enum_type):
        yield from _enum_paths(enum, (5, number), file.package)
    for number, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (6, number), name
        for index, method in enumerate(service.method):
            yield (6, number, 2, index), f"{name}.{method.name}"


def _message_paths(
    message: descriptor_pb2.DescriptorProto, path: tuple[int, ...], scope: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{message.name}"
    yield path, name
    for number, field in enumerate(message.field):
        yield (*path, 2, number), f"{name}.{field.name}"
    for number, oneof in enumerate(message.oneof_decl):
        yield (*path, 8, number), f"{name}.{oneof.name}"
    for number, nested in enumerate(message.nested_type):
        yield from _message_paths(nested, (*path, 3, number), name)
    for number, enum in enumerate(message.enum_type):
        yield from _enum_paths(enum, (*path, 4, number), name)


def _enum_paths(
    enum: descriptor_pb2.EnumDescriptorProto, path: tuple[int, ...], scope: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{enum.name}"
    yield path, name
    for number, value in enumerate(enum.value):
        yield (*path, 2, number), f"{name}.{value.name}"
