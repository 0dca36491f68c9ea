"""buf finds nothing in our protos, and finds what would break a caller or a consumer."""

from collections.abc import Callable

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from fleet.contracts import lint

Change = Callable[[FileDescriptorProto], None]


def _remove_field(file: FileDescriptorProto) -> None:
    del file.message_type[0].field[1]


def _renumber_field(file: FileDescriptorProto) -> None:
    file.message_type[0].field[1].number = 99


def _retype_field(file: FileDescriptorProto) -> None:
    file.message_type[0].field[0].type = FieldDescriptorProto.TYPE_BYTES


def _rename_field(file: FileDescriptorProto) -> None:
    file.message_type[0].field[0].name = "renamed"
    file.message_type[0].field[0].json_name = "renamed"


def _remove_message(file: FileDescriptorProto) -> None:
    del file.message_type[-1]


def _remove_method(file: FileDescriptorProto) -> None:
    del file.service[0].method[0]


def _changed(image: bytes, name: str, change: Change) -> bytes:
    files = descriptor_pb2.FileDescriptorSet.FromString(image)
    change(next(file for file in files.file if file.name == name))
    return files.SerializeToString()


def test_buf_lint_finds_nothing_in_our_protos(image: bytes) -> None:
    assert lint.lint(image) == []


def test_buf_lint_finds_a_badly_named_field(image: bytes) -> None:
    def misname(file: FileDescriptorProto) -> None:
        file.message_type[0].field[0].name = "EventId"

    findings = lint.lint(_changed(image, "greenledger/events/v1/event.proto", misname))
    assert any("EventId" in finding for finding in findings)


def test_the_contracts_break_nobody_who_uses_the_committed_ones(image: bytes) -> None:
    committed = lint.committed_descriptor("HEAD")
    if committed is None:
        pytest.skip("no contracts were committed yet")
    assert lint.breaking(image, committed) == []


@pytest.mark.parametrize(
    ("name", "change", "finding"),
    [
        ("greenledger/events/v1/event.proto", _remove_field, "was deleted"),
        ("greenledger/events/v1/event.proto", _renumber_field, "was deleted"),
        ("greenledger/orders/v1/events.proto", _retype_field, "changed type"),
        ("greenledger/orders/v1/events.proto", _rename_field, "changed name"),
        ("greenledger/orders/v1/events.proto", _remove_message, "was deleted"),
        ("greenledger/operations/v1/operations.proto", _remove_method, "was deleted"),
    ],
)
def test_a_breaking_change_is_found(image: bytes, name: str, change: Change, finding: str) -> None:
    findings = lint.breaking(_changed(image, name, change), image)
    assert any(name in line and finding in line for line in findings), findings


def test_a_removed_file_is_found(image: bytes) -> None:
    files = descriptor_pb2.FileDescriptorSet.FromString(image)
    kept = [file for file in files.file if file.name != "greenledger/orders/v1/events.proto"]
    after = descriptor_pb2.FileDescriptorSet(file=kept).SerializeToString()
    assert any("orders/v1/events.proto" in line for line in lint.breaking(after, image))


def test_an_added_field_breaks_nobody(image: bytes) -> None:
    def add(file: FileDescriptorProto) -> None:
        file.message_type[0].field.add(
            name="added",
            json_name="added",
            number=99,
            type=FieldDescriptorProto.TYPE_STRING,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
        )

    after = _changed(image, "greenledger/events/v1/event.proto", add)
    assert lint.breaking(after, image) == []
