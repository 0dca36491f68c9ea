"""Every event ever recorded decodes through today's stubs, with nothing lost but what a contract gave up.

A contract gives a field up by reserving its number and its name; a recording may still hold it.
"""

import importlib
import json
import pkgutil
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

import greenledger
from fleet.contracts import corpus
from fleet.contracts.model import Contracts
from greenledger.events.v1 import event_pb2

RECORDINGS = sorted(corpus.CORPUS.glob("*/v*.binpb"))


def _unknown(message: Message) -> list[str]:
    """Names the messages inside `message` that hold fields which today's contract neither knows nor has
    given up."""
    kind = descriptor_pb2.DescriptorProto()
    message.DESCRIPTOR.CopyToProto(kind)
    given_up = {number for span in kind.reserved_range for number in range(span.start, span.end)}
    lost = {field.field_number for field in UnknownFieldSet(message)} - given_up
    found = [str(message.DESCRIPTOR.full_name)] if lost else []
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for inner in value if field.is_repeated else [value]:
            found += _unknown(inner)
    return found


def _decode(recorded: bytes) -> tuple[event_pb2.Event, Message]:
    event = event_pb2.Event.FromString(recorded)
    kind = descriptor_pool.Default().FindMessageTypeByName(event.payload.TypeName())
    payload = message_factory.GetMessageClass(kind)()
    assert event.payload.Unpack(payload)
    return event, payload


def _json_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


@pytest.fixture(scope="module", autouse=True)
def stubs() -> None:
    for module in pkgutil.walk_packages(greenledger.__path__, "greenledger."):
        if module.name.endswith("_pb2"):
            importlib.import_module(module.name)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recorded_event_decodes_with_nothing_lost(path: Path, contracts: Contracts) -> None:
    event, payload = _decode(path.read_bytes())
    assert event.type == path.parent.name
    assert dict(contracts.events())[event.type].full_name == payload.DESCRIPTOR.full_name
    assert _unknown(event) == []
    assert _unknown(payload) == []


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recorded_event_still_means_what_its_json_says(path: Path) -> None:
    event, payload = _decode(path.read_bytes())
    text = json.loads(path.with_suffix(".json").read_text())
    kind = descriptor_pb2.DescriptorProto()
    payload.DESCRIPTOR.CopyToProto(kind)
    for name in kind.reserved_name:
        text["payload"].pop(_json_name(name), None)
    payload.DiscardUnknownFields()
    told = json_format.ParseDict(text, event_pb2.Event())
    told_payload = type(payload)()
    assert told.payload.Unpack(told_payload)
    assert payload == told_payload
    told.payload.CopyFrom(event.payload)  # equal payloads may differ in the order of their bytes
    assert event == told


def test_recordings_hold_no_more_of_a_person_than_the_id() -> None:
    """The newest version of each event about people; events are kept for ever."""
    newest = {path.parent.name: path for path in RECORDINGS if path.parent.name.startswith("user.")}
    for path in newest.values():
        _, payload = _decode(path.read_bytes())
        told = {field.name for field, _ in payload.ListFields()}
        assert told <= {"user_id", "role", "revision"}, path


def test_every_topic_has_a_recording(contracts: Contracts) -> None:
    recorded = {path.parent.name for path in RECORDINGS}
    assert sorted({topic for topic, _ in contracts.events()} - recorded) == [], (
        "record the new ones: python -m fleet.contracts.corpus"
    )


def test_recording_sets_every_field_and_touches_nothing_recorded(
    contracts: Contracts, tmp_path: Path
) -> None:
    added = corpus.record(contracts, 1, tmp_path)
    assert added == sorted(topic for topic, _ in contracts.events())
    _, payload = _decode((tmp_path / "order.placed" / "v1.binpb").read_bytes())
    assert {field.name for field, _ in payload.ListFields()} == set(payload.DESCRIPTOR.fields_by_name)
    assert corpus.record(contracts, 1, tmp_path) == []
    assert corpus.record(contracts, 2, tmp_path, ["order.placed"]) == ["order.placed"]


def test_a_field_that_the_contract_lost_is_seen() -> None:
    stranger = event_pb2.Event.FromString(b"\xa2\x06\x01x")  # field 100
    assert _unknown(stranger) == ["greenledger.events.v1.Event"]
