"""The pages of docs/contracts: one per package, and an index of all methods and topics."""

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor

from fleet.contracts import errors, rules
from fleet.contracts.model import Access, Contracts, is_map, map_entry, package_of

_NOTICE = (
    "<!-- Generated from the protos by `python -m fleet.contracts.generate`; change those instead. -->\n"
)
_INDEX_TEXT = """\
# Contracts

What each service offers. The HTTP side is also in `gen/openapi/greenledger.json`. Errors, paging and
request ids are the same everywhere: see [common](common.md). Every event travels in
[the envelope](events.md), with the topic as its type."""
_PIPE = "\\|"  # a bare one would end the cell, even inside code
_SCALARS = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def render(contracts: Contracts) -> dict[str, str]:
    """Renders every page; returns texts by file name."""
    pages = {f"{_page(package)}.md": _Page(contracts, package).render() for package in contracts.packages()}
    return pages | {"README.md": _index(contracts)}


def _index(contracts: Contracts) -> str:
    lines = [_NOTICE, *_INDEX_TEXT.splitlines(), ""]
    lines += _table(
        ["Package", "Services", "Methods", "Events", "About"],
        [_index_row(contracts, package) for package in contracts.packages()],
    )
    lines += ["## Methods", ""]
    methods = [
        [
            f"[{m.containing_service.name}.{m.name}]({_page(package_of(m))}.md#{m.name.lower()})",
            "<br>".join(_http(contracts, m)),
            _access(contracts.access(m)),
        ]
        for m in contracts.methods()
    ]
    lines += _table(["Method", "HTTP", "Who may"], methods)
    lines += ["## Topics", ""]
    topics = [
        [
            f"`{topic}`",
            f"[{m.name}]({_page(package_of(m))}.md#{m.name.lower()})",
            _line(contracts.comment(m)),
        ]
        for topic, m in sorted(contracts.events())
    ]
    lines += _table(["Topic", "Message", "Means"], topics)
    return "\n".join(lines).rstrip() + "\n"


def _index_row(contracts: Contracts, package: str) -> list[str]:
    services = contracts.services(package)
    about = [contracts.package_comment(package), *(contracts.comment(service) for service in services)]
    return [
        f"[{package}]({_page(package)}.md)",
        ", ".join(service.name for service in services),
        str(sum(len(service.methods) for service in services)),
        str(sum(bool(contracts.topic(message)) for message in contracts.messages(package))),
        _line(" ".join(text for text in about if text)),
    ]


class _Page:
    def __init__(self, contracts: Contracts, package: str) -> None:
        self._contracts = contracts
        self._package = package

    def render(self) -> str:
        contracts, package = self._contracts, self._package
        lines = [_NOTICE, f"# {package}", ""]
        if about := contracts.package_comment(package):
            lines += [about, ""]
        for service in contracts.services(package):
            lines += [f"## {service.name}", "", contracts.comment(service), ""]
            for method in service.methods:
                lines += self._method(method)
        lines += self._errors()
        events = [message for message in contracts.messages(package) if contracts.topic(message)]
        if events:
            lines += ["## Events out", ""]
            for message in events:
                lines += self._message(message)
        others = [message for message in contracts.messages(package) if not contracts.topic(message)]
        if others:
            lines += ["## Messages", ""]
            for message in others:
                lines += self._message(message)
        enums = [enum for enum in contracts.enums(package) if enum.name != errors.REASON_ENUM]
        if enums:
            lines += ["## Enums", ""]
            for enum in enums:
                lines += self._enum(enum)
        return "\n".join(lines).rstrip() + "\n"

    def _method(self, method: MethodDescriptor) -> list[str]:
        access = self._contracts.access(method)
        facts = [
            ["HTTP", "<br>".join(_http(self._contracts, method)) or "none, internal"],
            ["Who may", _access(access)],
            *([["From", callers]] if (callers := _callers(self._contracts, method)) else []),
            ["Repeated `request_id`", _idempotency(access)],
            ["Request", ("stream of " if method.client_streaming else "") + self._link(method.input_type)],
            ["Response", ("stream of " if method.server_streaming else "") + self._link(method.output_type)],
        ]
        lines = [f"### {method.name}", ""]
        if comment := self._contracts.comment(method):
            lines += [comment, ""]
        return lines + _table(["", ""], facts)

    def _errors(self) -> list[str]:
        reasons = errors.reasons(self._contracts, self._package)
        if not reasons:
            return []
        common = (
            ""
            if self._package.endswith("common.v1")
            else "Besides [those of every method](common.md#errors):"
        )
        lines = ["## Errors", "", *([common, ""] if common else [])]
        return lines + _table(["Reason", "Meaning"], [[f"`{one.name}`", one.meaning] for one in reasons])

    def _message(self, message: Descriptor, prefix: str = "") -> list[str]:
        lines = [f"### {prefix}{message.name}", ""]
        if comment := self._contracts.comment(message):
            lines += [comment, ""]
        if topic := self._contracts.topic(message):
            lines += [f"Topic `{topic}`.", ""]
        rows = [self._field(field) for field in message.fields]
        lines += _table(["#", "Field", "Type", "Rules", "Meaning"], rows) if rows else ["No fields.", ""]
        for nested in message.nested_types:
            if not nested.GetOptions().map_entry:
                lines += self._message(nested, f"{prefix}{message.name}.")
        return lines

    def _field(self, field: FieldDescriptor) -> list[str]:
        return [
            str(field.number),
            f"`{field.name}`",
            self._type(field),
            self._rules(field),
            " ".join(self._contracts.comment(field).split()),
        ]

    def _type(self, field: FieldDescriptor) -> str:
        if is_map(field):
            key, value = map_entry(field)
            return f"map of {self._type(key)} to {self._type(value)}"
        kind = field.message_type or field.enum_type
        name = self._link(kind) if kind is not None else _SCALARS[field.type]
        prefix = "repeated " if field.is_repeated else ""
        oneof = field.containing_oneof
        synthetic = oneof is not None and oneof.name == f"_{field.name}"
        suffix = ", optional" if synthetic else f", one of `{oneof.name}`" if oneof is not None else ""
        return prefix + name + suffix

    def _rules(self, field: FieldDescriptor) -> str:
        words = [name.lower().replace("_", " ") for name in sorted(self._contracts.behaviors(field))]
        rule = self._contracts.rules(field)
        if rule is not None:
            if rule.required and "required" not in words:
                words.append("required")
            words += _rule_words(rule, field)
        return "; ".join(words)

    def _link(self, kind: Descriptor | EnumDescriptor) -> str:
        package = package_of(kind)
        if not package.startswith("greenledger."):
            return str(kind.full_name)
        page = "" if package == self._package else f"{_page(package)}.md"
        name = kind.full_name.removeprefix(f"{package}.")
        return f"[{name}]({page}#{name.lower().replace('.', '')})"

    def _enum(self, enum: EnumDescriptor) -> list[str]:
        lines = [f"### {enum.name}", ""]
        if comment := self._contracts.comment(enum):
            lines += [comment, ""]
        rows = [[str(v.number), f"`{v.name}`", _line(self._contracts.comment(v))] for v in enum.values]
        return lines + _table(["#", "Value", "Meaning"], rows)


def _rule_words(rule: object, field: FieldDescriptor) -> list[str]:
    names = (
        {value.number: value.name for value in field.enum_type.values}
        if field.enum_type is not None
        else None
    )
    rendered = rules.render(rule, names)
    words = [f"{name} `{_code(value)}`" for name, value in sorted(rendered.schema.items())]
    return words + [note.rstrip(".") for note in rendered.notes]


def _code(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _http(contracts: Contracts, method: MethodDescriptor) -> list[str]:
    return [f"`{binding.verb.upper()} {binding.path}`" for binding in contracts.bindings(method)]


def _access(access: Access | None) -> str:
    if access is None:
        return "nobody (no policy)"
    if access.kind == "permission":
        return f"`{access.permission}`"
    return "anyone" if access.kind == "public" else "anyone with a token"


def _callers(contracts: Contracts, method: MethodDescriptor) -> str:
    access = contracts.access(method)
    if access is None or access.kind == "public":
        return ""
    named = ", ".join(f"`{name}`" for name in access.callers)
    if contracts.bindings(method):
        return f"people; of services {named}" if named else "people"
    return f"{named}, with mutual TLS" if named else ""


def _idempotency(access: Access | None) -> str:
    kinds = {
        "STORED": "gives the stored response",
        "OWN": "finds what it began, and gives its outcome",
        "INHERENT": "needs none: a second call does no harm",
    }
    return kinds.get(access.idempotency, "takes none") if access is not None else ""


def _page(package: str) -> str:
    return package.split(".")[1]


def _line(text: str) -> str:
    return " ".join(text.split())


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    def row(cells: list[str]) -> str:
        return f"| {' | '.join(cell.replace('|', _PIPE) for cell in cells)} |"

    return [row(header), row(["---"] * len(header)), *map(row, rows), ""]
