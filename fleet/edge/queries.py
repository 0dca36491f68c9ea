"""The query parameters that each HTTP binding takes, as a Lua table for the body check.

The transcoder would let a query overrule the path and the body, and take the last of two equal parameters.
"""

import re
from collections.abc import Iterable, Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from fleet.contracts.model import Binding, is_map
from fleet.edge.contract import Method, binding_key
from fleet.edge.fields import WELL_KNOWN, quoted

_VARIABLE = re.compile(r"\{([^}=]+)")
_DEEPEST = 3  # levels of messages, as in the OpenAPI document


def lua_queries(methods: Iterable[Method]) -> str:
    """Lua source that defines QUERIES: by binding, each parameter's one name by all of its spellings.

    The one name ends in `[]` when the parameter may be given several times.
    """
    lines = ["local QUERIES = {"]
    for method in methods:
        for binding in method.bindings:
            names = dict(_parameters(method, binding))
            entries = ", ".join(f"[{quoted(name)}] = {quoted(one)}" for name, one in names.items())
            lines.append(f"  [{quoted(binding_key(method, binding))}] = {{ {entries} }},")
    return "\n".join([*lines, "}"]) + "\n"


def _parameters(method: Method, binding: Binding) -> Iterator[tuple[str, str]]:
    if binding.body == "*":
        return
    elsewhere = {binding.body} | {
        part.partition("}")[0].partition("=")[0] for part in binding.path.split("{")[1:]
    }
    yield from _leaves(method.request, elsewhere, (), ("",), "")


def _leaves(
    message: Descriptor, elsewhere: set[str], above: tuple[str, ...], spellings: tuple[str, ...], one: str
) -> Iterator[tuple[str, str]]:
    for field in message.fields:
        path = (*above, field.name)
        if ".".join(path) in elsewhere:
            continue
        names = tuple(
            f"{prefix}{name}" for prefix in spellings for name in {field.json_name: 0, field.name: 0}
        )
        own = f"{one}{field.json_name}"
        if _is_leaf(field):
            yield from ((name, f"{own}[]" if field.is_repeated else own) for name in names)
        elif not field.is_repeated and len(path) <= _DEEPEST and field.message_type is not None:
            below = tuple(f"{name}." for name in names)
            yield from _leaves(field.message_type, elsewhere, path, below, f"{own}.")


def _is_leaf(field: FieldDescriptor) -> bool:
    if field.message_type is None:
        return True
    return not is_map(field) and field.message_type.full_name in WELL_KNOWN
