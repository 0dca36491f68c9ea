"""The check of JSON bodies by itself, inside Envoy, against messages with every kind of field."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import (
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fleet.edge.render import body_check
from fleet.testing.ports import free_port
from tests.integration.edge.harness import envoy, wait_until
from tests.integration.edge.shape import reason_of, violations_of

Field = descriptor_pb2.FieldDescriptorProto


def everything() -> Descriptor:
    """A message with a field of every kind."""
    pool = descriptor_pool.DescriptorPool()
    imports = (any_pb2, duration_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    for module in imports:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(name="everything.proto", package="example", syntax="proto3")
    file.dependency.extend(module.DESCRIPTOR.name for module in imports)
    color = file.enum_type.add(name="Color")
    color.value.add(name="COLOR_UNSPECIFIED", number=0)
    color.value.add(name="COLOR_RED", number=1)
    thing = file.message_type.add(name="Thing")
    kinds = {
        "plain_text": Field.TYPE_STRING,
        "raw": Field.TYPE_BYTES,
        "flag": Field.TYPE_BOOL,
        "small": Field.TYPE_INT32,
        "large": Field.TYPE_INT64,
        "ratio": Field.TYPE_DOUBLE,
    }
    for number, (name, kind) in enumerate(kinds.items(), 1):
        thing.field.add(name=name, number=number, type=kind, label=Field.LABEL_OPTIONAL)
    known = ("Timestamp", "Duration", "FieldMask", "Struct", "Any", "Value", "Int64Value", "BoolValue")
    for number, name in enumerate(known, 20):
        type_name = f".google.protobuf.{name}"
        thing.field.add(name=f"a_{name.lower()}", number=number, type=Field.TYPE_MESSAGE, type_name=type_name)
    thing.field.add(name="color", number=40, type=Field.TYPE_ENUM, type_name=".example.Color")
    thing.field.add(name="child", number=41, type=Field.TYPE_MESSAGE, type_name=".example.Thing")
    child = {"type": Field.TYPE_MESSAGE, "type_name": ".example.Thing", "label": Field.LABEL_REPEATED}
    thing.field.add(name="children", number=42, **child)
    entry = thing.nested_type.add(name="ByNameEntry", options=descriptor_pb2.MessageOptions(map_entry=True))
    entry.field.add(name="key", number=1, type=Field.TYPE_STRING)
    entry.field.add(name="value", number=2, type=Field.TYPE_MESSAGE, type_name=".example.Thing")
    by_name = {"type": Field.TYPE_MESSAGE, "type_name": ".example.Thing.ByNameEntry"}
    thing.field.add(name="by_name", number=43, label=Field.LABEL_REPEATED, **by_name)
    thing.oneof_decl.add(name="choice")
    for number, name in enumerate(("left", "right"), 50):
        thing.field.add(name=name, number=number, type=Field.TYPE_STRING, oneof_index=0)
    pool.Add(file)
    return pool.FindMessageTypeByName("example.Thing")


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Envoy with nothing but the check; what passes is answered 204."""
    folder = tmp_path_factory.mktemp("check")
    lua = folder / "body_check.lua"
    lua.write_text(body_check([everything()]))
    port = free_port()
    configuration = folder / "check.yaml"
    configuration.write_text(json.dumps(_configuration(port, lua)))
    with (
        envoy(configuration, folder / "envoy.log"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):
        wait_until(lambda: client.get("/ready").status_code)
        yield client


def _configuration(port: int, lua: Path) -> dict[str, Any]:
    per_route = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"
    context = {"@type": per_route, "filter_context": {"message": "example.Thing"}}
    filters = {"lua.v3.Lua": {"default_source_code": {"filename": str(lua)}}, "router.v3.Router": {}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
        "HttpConnectionManager",
        "stat_prefix": "check",
        "http_filters": [
            {
                "name": f"envoy.filters.http.{kind.partition('.')[0]}",
                "typed_config": {
                    "@type": f"type.googleapis.com/envoy.extensions.filters.http.{kind}",
                    **config,
                },
            }
            for kind, config in filters.items()
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "check",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"path": "/thing"},
                            "direct_response": {"status": 204},
                            "typed_per_filter_config": {"envoy.filters.http.lua": context},
                        }
                    ],
                }
            ]
        },
    }
    listener = {
        "name": "check",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "per_connection_buffer_limit_bytes": 4 * 1024 * 1024,
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
    return {"static_resources": {"listeners": [listener]}}


def send(check: httpx.Client, body: bytes | str | Any) -> httpx.Response:
    content = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    return check.post("/thing", content=content, headers={"content-type": "application/json"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {
            "plainText": "x",
            "raw": "AA==",
            "flag": True,
            "small": -1,
            "large": "9007199254740993",
            "ratio": 1.5,
        },
        {
            "plain_text": "x",
            "a_timestamp": "2026-01-01T00:00:00Z",
            "aDuration": "1.5s",
            "aFieldmask": "a,b.c",
        },
        {"small": "12", "ratio": "NaN", "large": 9007199254740993},
        {"aStruct": {"any": [1, None, {"deep": True}]}, "aAny": {"@type": "x", "y": 1}, "aValue": [None]},
        {"aInt64value": "5", "aBoolvalue": False},
        {"color": "COLOR_RED"},
        {"color": 7},
        {"child": {"child": {"children": [{"plainText": "x"}, {}]}}},
        {"byName": {"any key": {"small": 1}, "": {}}},
        {"plainText": None, "child": None, "children": None, "byName": None, "left": None, "right": "x"},
        '{ "plainText" : "\\u00e9\\ud83d\\ude00\\n\\"\\/" , "small":0 }\r\n\t ',
        '{"plainText":"é😀\u007f"}',
        '{"small":-0,"ratio":-1.25e-7,"large":1E3}',
        '{"small":3.0}',
        '{"small":100e-2,"large":"0.50e1"}',
        '{"small":0e-9,"large":0.0}',
    ],
)
def test_what_proto3_json_allows_passes(check: httpx.Client, body: Any) -> None:
    reply = send(check, body)
    assert reply.status_code == 204, reply.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"nonsense": 1}, "nonsense"),
        ({"PlainText": "x"}, "PlainText"),
        ({"child": {"nonsense": {"a": [1]}}}, "child.nonsense"),
        ({"children": [{}, {"nonsense": None}]}, "children[1].nonsense"),
        ({"byName": {"k": {"nonsense": 1}}}, "byName.k.nonsense"),
        ({"by_name": {"k": {"children": [{"x": 1}]}}}, "by_name.k.children[0].x"),
        ({"choice": "x"}, "choice"),
        ({"": 1}, ""),
        ({"key": 'quote " and <tag> \u00e9'}, "key"),
        ({'quote " and <tag> é': 1}, 'quote " and <tag> é'),
    ],
)
def test_an_unknown_field_is_refused_with_its_path(check: httpx.Client, body: Any, field: str) -> None:
    reply = send(check, body)
    assert (reply.status_code, reason_of(reply)) == (400, "UNKNOWN_FIELD")
    assert violations_of(reply) == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"plainText": 5}, "plainText"),
        ({"plainText": True}, "plainText"),
        ({"plainText": {}}, "plainText"),
        ({"plainText": ["x"]}, "plainText"),
        ({"flag": "true"}, "flag"),
        ({"small": 1.5}, "small"),
        ({"small": "x"}, "small"),
        ({"small": "1.5"}, "small"),
        ({"small": "+5"}, "small"),
        ({"small": " 5"}, "small"),
        ({"small": "0x10"}, "small"),
        ({"small": "inf"}, "small"),
        ('{"small":1e-400}', "small"),
        ('{"small":1.00000000000000000000000001}', "small"),
        ({"small": True}, "small"),
        ({"ratio": "x"}, "ratio"),
        ({"color": "COLOR_GREEN"}, "color"),
        ({"child": []}, "child"),
        ({"child": "x"}, "child"),
        ({"children": {}}, "children"),
        ({"children": [None]}, "children[0]"),
        ({"children": [[]]}, "children[0]"),
        ({"byName": []}, "byName"),
        ({"byName": {"k": 1}}, "byName.k"),
        ({"aTimestamp": 5}, "aTimestamp"),
        ({"left": "a", "right": "b"}, "right"),
        ({"plainText": "a", "plain_text": "a"}, "plain_text"),
        ('{"small":1,"small":1}', "small"),
        ('{"child":{"small":1,"\\u0073mall":2}}', "child.small"),
        ('{"byName":{"k":{},"k":{}}}', "byName.k"),
        ('{"aStruct":{"k":1,"k":1}}', "aStruct.k"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_path(
    check: httpx.Client, body: Any, field: str
) -> None:
    reply = send(check, body)
    assert (reply.status_code, reason_of(reply)) == (400, "MALFORMED_REQUEST")
    assert violations_of(reply) == [field]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b"}",
        b"{}}",
        b"{} x",
        b"{,}",
        b'{"small":1,}',
        b"{'small':1}",
        b"{small:1}",
        b'{"small"}',
        b'{"small":}',
        b'{"small" 1}',
        b'{"small":01}',
        b'{"small":+1}',
        b'{"small":-}',
        b'{"small":1.}',
        b'{"small":.5}',
        b'{"small":1e}',
        b'{"small":0x10}',
        b'{"ratio":NaN}',
        b'{"ratio":Infinity}',
        b'{"ratio":-Infinity}',
        b'{"flag":True}',
        b'{"flag":tru}',
        b'{"flag":nul}',
        b'{"children":[{},]}',
        b'{"children":[,]}',
        b'{"children":[{} {}]}',
        b'{"plainText":"x}',
        b'{"plainText":"\\x"}',
        b'{"plainText":"\\u12"}',
        b'{"plainText":"\\ud800"}',
        b'{"plainText":"\\udc00\\ud800"}',
        b'{"plainText":"a\nb"}',
        b'{"plainText":"\x00"}',
        b'{"plainText":"\xff"}',
        b'{"plainText":"\xc0\xaf"}',
        b'{"plainText":"\xed\xa0\x80"}',
        b'{"plainText":"\xf4\x90\x80\x80"}',
        b'{"plainText":"\xe2\x82"}',
        b"\xef\xbb\xbf{}",
        b"/* */{}",
        b'{"child":' * 40 + b"{}" + b"}" * 40,
        b'{"aValue":' + b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused(check: httpx.Client, body: bytes) -> None:
    reply = send(check, body)
    assert (reply.status_code, reason_of(reply)) == (400, "MALFORMED_REQUEST")


def test_a_body_of_a_megabyte_is_read(check: httpx.Client) -> None:
    assert send(check, {"children": [{"plainText": "é" * 100, "small": 5}] * 4000}).status_code == 204
    reply = send(check, {"children": [{"plainText": "x"}] * 40000 + [{"nonsense": 1}]})
    assert violations_of(reply) == ["children[40000].nonsense"]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=values, ascii_only=st.booleans())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_passes_where_any_json_is_allowed(check: httpx.Client, value: Any, ascii_only: bool) -> None:
    body = json.dumps({"aValue": value}, ensure_ascii=ascii_only)
    assert send(check, body).status_code == 204, body


def _python_reads(body: bytes) -> bool:
    """Whether a strict reader takes the body as an object without a repeated key."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("repeated key")
        return dict(pairs)

    def refuse(name: str) -> float:
        raise ValueError(name)

    try:
        text = body.decode("utf-8", "strict")
        found = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(math.isfinite(n) for n in _floats(found) if n)


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _floats(part)


@given(value=values, at=st.integers(0, 400), junk=st.binary(min_size=0, max_size=3), cut=st.integers(0, 3))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(value={"a": "é"}, at=7, junk=b"", cut=1)
def test_damaged_json_is_judged_as_a_strict_reader_judges_it(
    check: httpx.Client, value: Any, at: int, junk: bytes, cut: int
) -> None:
    inner = json.dumps(value, ensure_ascii=False).encode()
    place = at % (len(inner) + 1)
    damaged = inner[:place] + junk + inner[place + cut :]
    # The damage stays inside a field that takes any JSON: what is judged is the JSON alone.
    body = b'{"aStruct":{"v":' + damaged + b"}}"
    passes = send(check, body).status_code == 204
    expected = _python_reads(body)
    if passes != expected:
        # A damaged brace may end the field early; then the contract has a say in what follows.
        assert not passes
        assert expected
        assert list(json.loads(body)) != ["aStruct"]
